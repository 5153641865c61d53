//! Paths in one line that a shell reads back: as they are, in single quotes, or as `$'…'` with escapes.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The path as a shell would take it.
pub(crate) fn path(path: &Path) -> String {
    // A name that begins like an option is none to any program when it begins with its folder.
    let named = if path.as_os_str().as_bytes().starts_with(b"-") { Path::new(".").join(path) } else { path.to_owned() };
    let bytes = named.as_os_str().as_bytes();
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+,:@%=".contains(byte);
    if !bytes.is_empty() && bytes.iter().all(plain) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(is_odd) => format!("'{}'", text.replace('\'', r"'\''")),
        Ok(_) | Err(_) => {
            let escaped: String = bytes.iter().map(|byte| escape(*byte)).collect();
            format!("$'{escaped}'")
        }
    }
}

/// Control characters, and those that turn the direction of what follows.
fn is_odd(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escape(byte: u8) -> String {
    match byte {
        b'\\' | b'\'' => format!("\\{}", char::from(byte)),
        b' '..=b'~' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    }
}

/// The same for a command: what a symlink leads to, since a command may replace or measure the link itself.
pub(crate) fn target(named: &Path) -> String {
    let is_link = named.symlink_metadata().is_ok_and(|meta| meta.is_symlink());
    let real = if is_link { named.canonicalize().ok() } else { None };
    path(real.as_deref().unwrap_or(named))
}

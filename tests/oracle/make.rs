//! Follows a recipe, by system calls: a shell for every step would be the whole run.
//!
//! A step that the filesystem refuses is noted with its errno, and the file is judged as it is then.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, IFlags, fallocate, ioctl_ficlone, ioctl_getflags, ioctl_setflags, syncfs};

use crate::ioctl::{clone_range, delete_subvolume, snapshot, subvolume};
use crate::machine::{Active, Mounted};
use crate::recipe::{Content, How, Name, Range, Recipe, Span, Step};
use crate::setup::{Can, SetUp};

/// A file that was made, and everything beside it; gone when dropped.
pub(crate) struct Made<'a> {
    fs: &'a Mounted,
    row: &'a SetUp,
    parent: PathBuf,
    number: u64,
    folder: PathBuf,
    /// The folder of `f`: a subvolume within it, or itself.
    home: PathBuf,
    buffers: &'a Buffers,
    page_size: u64,
    /// What was done, line by line.
    pub(crate) log: Vec<String>,
    /// Where the kernel is asked.
    pub(crate) path: PathBuf,
    active: Option<Active>,
}

/// Follows a recipe.
pub(crate) fn make<'a>(
    (fs, row, buffers): (&'a Mounted, &'a SetUp, &'a Buffers),
    recipe: &Recipe,
    number: u64,
    page_size: u64,
) -> io::Result<Made<'a>> {
    let parent = fs.root.join(row.folder);
    let folder = parent.join(number.to_string());
    let home = if recipe.nested { folder.join("n") } else { folder.clone() };
    let (log, path) = (Vec::new(), folder.clone());
    let mut made = Made { fs, row, parent, number, folder, home, buffers, page_size, log, path, active: None };
    if row.can.contains(Can::SNAPSHOT) && number % DELETED_KEPT == 0 {
        // Deleted subvolumes pile up until the cleaner comes round: mostly they may, but not until the disk is full.
        fs.run(&fs.root, "btrfs subvolume sync $M").map_err(io::Error::other)?;
    }
    made.begin(recipe.nested)?;
    for step in &recipe.steps {
        let told = match step {
            Step::Header(page) => page.told(made.size()?, page_size),
            step => step.to_string(),
        };
        let outcome = made.follow(step);
        made.log.push(match outcome {
            Ok(()) => told,
            Err(error) => format!("{told}   {REFUSED}: {error}"),
        });
    }
    if let Some(name) = recipe.active {
        if name == Name::Copy {
            // Byte for byte: std's copy would share the blocks.
            std::fs::write(made.like("copy")?, std::fs::read(made.file())?)?;
        }
        let active = Active::new(&made.named(name));
        made.log.push(format!("swapon {name}: {}", active.as_ref().map_or_else(i32::to_string, |_| "ok".to_owned())));
        made.active = active.ok();
    }
    made.path = made.named(recipe.name);
    made.log.push(format!("asked: {}", recipe.name));
    Ok(made)
}

impl Made<'_> {
    /// An empty file in a folder of its own.
    fn begin(&mut self, nested: bool) -> io::Result<()> {
        if self.row.can.contains(Can::DEVICE) {
            return Ok(());
        }
        if self.row.can.contains(Can::SNAPSHOT) {
            subvolume(File::open(&self.parent)?, Path::new(&self.number.to_string()))?;
            self.log.push("btrfs subvolume create N; cd N".to_owned());
            if nested {
                subvolume(File::open(&self.folder)?, Path::new("n"))?;
                self.log.push("btrfs subvolume create n; f is n/f".to_owned());
            }
        } else {
            std::fs::create_dir(&self.folder)?;
        }
        OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(self.file())?;
        Ok(())
    }

    fn file(&self) -> PathBuf {
        if self.row.can.contains(Can::DEVICE) { self.fs.device() } else { self.home.join("f") }
    }

    fn named(&self, name: Name) -> PathBuf {
        let below = self.home.strip_prefix(&self.parent).expect("a folder below the mount");
        let within = |bind: &str| self.parent.join(bind).join(below).join("f");
        match name {
            Name::Itself => self.file(),
            Name::HardLink => self.home.join(HARD_LINK),
            Name::Symlink => self.home.join("soft"),
            Name::Bind => within(".rw"),
            Name::ReadOnlyBind => within(".ro"),
            Name::Copy => self.home.join("copy"),
            Name::InSnapshot => self.snapshot().join("f"),
        }
    }

    fn snapshot(&self) -> PathBuf {
        self.parent.join(format!("{}.snap", self.number))
    }

    /// The size of the file or device.
    pub(crate) fn size(&self) -> io::Result<u64> {
        io::Seek::seek(&mut File::open(self.file())?, io::SeekFrom::End(0))
    }

    fn open(&self, name: &Path, flags: i32) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).custom_flags(flags).open(name)
    }

    fn follow(&self, step: &Step) -> io::Result<()> {
        let path = self.file();
        let file = || self.open(&path, 0);
        let clone = self.home.join("c");
        match step {
            Step::NoCow => self.flag(&path, IFlags::NOCOW),
            Step::Journaled => self.flag(&path, IFlags::JOURNALING),
            Step::Compress => self.flag(&path, IFlags::COMPRESSED),
            Step::Immutable => self.flag(&path, IFlags::IMMUTABLE),
            Step::AppendOnly => self.flag(&path, IFlags::APPEND),
            Step::Write(span, how, content) => self.write(&path, *span, *how, *content),
            Step::RewriteClone(span) => self.write(&clone, *span, How::Synced, Content::Noise),
            Step::Interleave { piece, length, how } => {
                let beside = self.like("g")?;
                let mut at = 0;
                while at < *length {
                    let span = Span { at, length: (*piece).min(length - at) };
                    // The end of a file may be odd, and direct I/O may not.
                    let how = if span.length % 4096 == 0 { *how } else { How::Synced };
                    self.write(&path, span, how, Content::Noise)?;
                    self.write(&beside, span, how, Content::Noise)?;
                    at += piece;
                }
                Ok(())
            }
            Step::Range(range, Span { at, length }) => Ok(fallocate(file()?, mode(*range), *at, *length)?),
            Step::Truncate(size) => file()?.set_len(*size),
            Step::CloneOut(span) => {
                let target = self.open(&self.like("c")?, 0)?;
                Ok(clone_range(target, file()?, span.at, span.length, span.at)?)
            }
            Step::CloneFile => Ok(ioctl_ficlone(self.open(&self.like("c")?, 0)?, file()?)?),
            Step::CloneWithin { from, to } => {
                let file = file()?;
                Ok(clone_range(&file, &file, from.at, from.length, *to)?)
            }
            Step::DropClone => std::fs::remove_file(&clone),
            Step::Sync => file()?.sync_all(),
            Step::SyncFilesystem => Ok(syncfs(file()?)?),
            Step::Header(page) => {
                let file = file()?;
                for (at, bytes) in page.bytes(self.size()?, self.page_size) {
                    file.write_all_at(&bytes, at)?;
                }
                Ok(())
            }
            Step::Mode(mode) => std::fs::set_permissions(&path, Permissions::from_mode(*mode)),
            Step::Owner(uid) => chown(&path, Some(*uid), None),
            Step::HardLink => std::fs::hard_link(&path, self.home.join(HARD_LINK)),
            Step::Symlink => symlink("f", self.home.join("soft")),
            Step::Snapshot { read_only, outer } => {
                let source = File::open(if *outer { &self.folder } else { &self.home })?;
                let name = format!("{}.snap", self.number);
                Ok(snapshot(File::open(&self.parent)?, source, Path::new(&name), *read_only)?)
            }
            Step::DropSnapshot => {
                Ok(delete_subvolume(File::open(&self.parent)?, Path::new(&format!("{}.snap", self.number)))?)
            }
            Step::DropOriginal => std::fs::remove_file(&path),
            Step::Resize(size) => {
                let script = format!("truncate -s {size} \"$(losetup -nO BACK-FILE $DEV)\"; losetup -c $DEV");
                self.fs.run(&self.fs.root, &script).map(drop).map_err(io::Error::other)
            }
        }
    }

    fn flag(&self, path: &Path, flag: IFlags) -> io::Result<()> {
        let file = File::open(path)?;
        Ok(ioctl_setflags(&file, ioctl_getflags(&file)? | flag)?)
    }

    /// A second file, with the flags of copy-on-write that `f` has: only such share blocks on btrfs.
    fn like(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.home.join(name);
        if path.exists() {
            return Ok(path);
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        if self.row.can.contains(Can::NO_COW) {
            let kept = ioctl_getflags(File::open(self.file())?)? & (IFlags::NOCOW | IFlags::COMPRESSED);
            ioctl_setflags(&file, kept)?;
        }
        Ok(path)
    }

    fn write(&self, path: &Path, span: Span, how: How, content: Content) -> io::Result<()> {
        let file = self.open(path, if how == How::Direct { libc::O_DIRECT } else { 0 })?;
        let data = self.buffers.of(content);
        let mut done = 0;
        while done < span.length {
            let length = usize::try_from(span.length - done).map_or(data.len(), |left| left.min(data.len()));
            file.write_all_at(&data[..length], span.at + done)?;
            done += u64::try_from(length).map_err(io::Error::other)?;
        }
        if how == How::Synced { file.sync_data() } else { Ok(()) }
    }
}

impl Drop for Made<'_> {
    fn drop(&mut self) {
        drop(self.active.take());
        if self.row.can.contains(Can::DEVICE) {
            return;
        }
        // What may not be changed may not be removed either.
        let plain = |file: File| ioctl_setflags(&file, ioctl_getflags(&file)? - (IFlags::IMMUTABLE | IFlags::APPEND));
        let _ = File::open(self.file()).map(plain);
        let gone = if self.row.can.contains(Can::SNAPSHOT) { self.drop_subvolumes() } else { self.drop_folder() };
        assert!(gone.is_ok() || std::thread::panicking(), "{} is left: {gone:?}", self.folder.display());
    }
}

impl Made<'_> {
    fn drop_folder(&self) -> io::Result<()> {
        std::fs::remove_dir_all(&self.folder)
    }

    fn drop_subvolumes(&self) -> io::Result<()> {
        let parent = File::open(&self.parent)?;
        if self.folder.join("n").exists() {
            delete_subvolume(File::open(&self.folder)?, Path::new("n"))?;
        }
        if self.snapshot().exists() {
            delete_subvolume(&parent, Path::new(&format!("{}.snap", self.number)))?;
        }
        Ok(delete_subvolume(&parent, Path::new(&self.number.to_string()))?)
    }
}

/// What marks a step in the log that was not granted.
pub(crate) const REFUSED: &str = "# refused";

/// Files of a set-up with snapshots between two waits for the cleaner.
const DELETED_KEPT: u64 = 64;

/// A name that /proc/swaps shows with escapes, and that ends as if it were gone.
const HARD_LINK: &str = "hard link (deleted)";

fn mode(range: Range) -> FallocateFlags {
    match range {
        Range::Allocate => FallocateFlags::empty(),
        Range::KeepSize => FallocateFlags::KEEP_SIZE,
        Range::Punch => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        Range::Zero => FallocateFlags::ZERO_RANGE,
        Range::ZeroKeepSize => FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE,
        Range::Collapse => FallocateFlags::COLLAPSE_RANGE,
        Range::Insert => FallocateFlags::INSERT_RANGE,
    }
}

/// What is written, aligned for direct I/O.
pub(crate) struct Buffers {
    noise: Box<Aligned>,
    text: Box<Aligned>,
}

#[repr(align(4096))]
struct Aligned([u8; 256 << 10]);

impl Buffers {
    /// The same bytes each time.
    pub(crate) fn new() -> Self {
        let (mut noise, mut text) = (Box::new(Aligned([0; 256 << 10])), Box::new(Aligned([0; 256 << 10])));
        fastrand::Rng::with_seed(1).fill(&mut noise.0);
        text.0.chunks_exact_mut(32).for_each(|line| line.copy_from_slice(b"all work and no play makes swap "));
        Self { noise, text }
    }

    fn of(&self, content: Content) -> &[u8] {
        if content == Content::Noise { &self.noise.0 } else { &self.text.0 }
    }
}

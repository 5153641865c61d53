//! What the program says and refuses before it touches anything: as any user, without a mount.

use std::fs;
use std::path::Path;

use crate::daemon::{run, said};
use crate::superblock::BLOCK_BYTES;

#[test]
fn format_destroys_nothing_unless_told_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("image");
    let format = |force: &[&str]| run(&[&["format", "--size", "1M"], force].concat(), &[&image]);

    let made = format(&[]);
    assert!(made.status.success(), "{made:?}");
    assert!(String::from_utf8_lossy(&made.stdout).contains("a swapfile of 1048576 bytes in 24 extents"), "{made:?}");
    let first = fs::read(&image).expect("the image");
    assert!(said(&format(&[])).contains("holds a swapfs: --force, said twice, destroys it"));
    assert!(said(&format(&["--force"])).contains("holds a swapfs: --force must be said twice"));
    assert_eq!(fs::read(&image).expect("the image"), first, "untouched");
    assert!(format(&["--force", "--force"]).status.success());
    assert_ne!(fs::read(&image).expect("the image")[..BLOCK_BYTES], first[..BLOCK_BYTES], "a new UUID");

    let mut ext4 = vec![0; 1 << 20];
    ext4[1080..1082].copy_from_slice(&[0x53, 0xef]);
    let mut swap = vec![0; 1 << 20];
    swap[4086..4096].copy_from_slice(b"SWAPSPACE2");
    let mut somewhere = vec![0; 4 << 20];
    somewhere[2 << 20] = 1;
    for (name, content) in [("ext4", ext4), ("swap", swap), ("not zeros", somewhere)] {
        fs::write(&image, &content).expect("a foreign image");
        let refusal = said(&format(&[]));
        assert!(refusal.contains(name) && refusal.contains("--force, said twice"), "{refusal}");
        assert_eq!(fs::read(&image).expect("the image"), content, "untouched");
    }
    // Empty, or nothing but a hole: nobody's.
    fs::write(&image, "").expect("an empty file");
    assert!(format(&[]).status.success());
    fs::write(&image, "").expect("an empty file");
    fs::File::options().write(true).open(&image).and_then(|file| file.set_len(1 << 20)).expect("a hole");
    assert!(format(&[]).status.success());
}

#[test]
fn sizes_and_places_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("image");
    assert!(said(&run(&["format"], &[&image])).contains("how large? say --size"));
    assert!(said(&run(&["format", "--size", "4096"], &[&image])).contains("a file of 4096 bytes cannot hold"));
    assert!(said(&run(&["format", "--size", "1M"], &[folder.path()])).contains("directory"));
    assert!(said(&run(&["format", "--size", "1M"], &[Path::new("/dev/null")])).contains("neither a regular file nor"));
    for size in ["x", "1T1", "-1", "99999999999G", ""] {
        let output = run(&["format", "--size", size], &[&image]);
        assert_eq!(output.status.code(), Some(2), "{size}: {output:?}");
    }
}

#[test]
fn loop_mode_is_refused_unless_its_risks_are_accepted_by_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("image");
    assert!(run(&["format", "--size", "1M"], &[&image]).status.success());
    let serve = |risks: &[&str]| said(&run(&[&["serve", "--mode", "loop"], risks].concat(), &[&image, folder.path()]));
    assert!(serve(&[]).contains("refused; use --mode bmap, or say --accept-risk loop-over-fuse,file-backed"));
    assert!(serve(&["--accept-risk", "loop-over-fuse"]).contains("say --accept-risk file-backed"));
    assert!(serve(&["--accept-risk", "file-backed"]).contains("say --accept-risk loop-over-fuse"));
    let output = run(&["serve", "--mode", "loop", "--accept-risk", "everything"], &[&image, folder.path()]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

#[test]
fn damaged_images_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("image");
    assert!(run(&["format", "--size", "1M"], &[&image]).status.success());
    let whole = fs::read(&image).expect("the image");
    let serve = || said(&run(&["serve", "--mode", "bmap"], &[&image, folder.path()]));
    let mut harmed = whole.clone();
    harmed[40] ^= 1;
    fs::write(&image, &harmed).expect("harm");
    assert!(serve().contains("the superblock is damaged: its checksum is"));
    fs::write(&image, &whole[..whole.len() - 4096]).expect("harm");
    assert!(serve().contains("the image was made with"));
    fs::write(&image, b"short").expect("harm");
    assert!(serve().contains("not a swapfs image"));
    fs::write(&image, vec![0; 1 << 20]).expect("harm");
    assert!(serve().contains("not a swapfs image"));
}

#[test]
fn an_image_in_memory_that_is_swapped_itself_is_refused() {
    let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return println!("skipped: no /dev/shm") };
    let image = folder.path().join("image");
    assert!(run(&["format", "--size", "1M"], &[&image]).status.success());
    let refusal = said(&run(&["serve", "--mode", "bmap"], &[&image, folder.path()]));
    assert!(refusal.contains("is on tmpfs, whose own pages are swapped out"), "{refusal}");
}

#[test]
fn what_does_not_fit_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("image");
    let names = ["1E", "4K", "18446744073709551615", "8388608G"];
    for size in names {
        let output = run(&["format", "--size", size], &[&image]);
        assert!(!output.status.success(), "{size}: {output:?}");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains("panicked"), "{size}: {text}");
        assert!(!image.exists(), "{size} left a file: {text}");
    }
    let larger_than_any_disk = said(&run(&["format", "--size", "100000G"], &[&image]));
    assert!(larger_than_any_disk.contains("bytes are needed") && larger_than_any_disk.contains("image"));
    assert!(!image.exists(), "a file was left");
    assert!(said(&run(&["format"], &[&image])).contains("say --size"));
    assert!(!image.exists(), "a file was left");
    // A file of zeros is nobody's, however long.
    fs::write(&image, vec![0; 5 << 20]).expect("zeros");
    assert!(run(&["format", "--size", "1M"], &[&image]).status.success());
}

#[test]
fn numbers_that_make_no_sense_are_usage() {
    for arguments in [
        &["demo", "--rounds", "0"][..],
        &["demo", "--limit", "0"],
        &["demo", "--working-set", "18446744073709551615"],
        &["demo", "--working-set", "17592186044416"],
        &["demo", "--compare", "0"],
    ] {
        let output = run(arguments, &[]);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
    }
}

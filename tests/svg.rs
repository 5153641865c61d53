//! The picture that `check --svg` draws: well-formed, small whatever it shows, and nothing that is refused left out.
#![cfg(all(feature = "linux", target_os = "linux"))]

mod built;
#[path = "../examples/check/grid.rs"]
mod grid;
#[path = "../examples/check/human.rs"]
#[allow(dead_code, reason = "the picture uses its own part")]
mod human;
#[allow(dead_code, reason = "every test uses its own part")]
mod machine;
#[path = "../examples/check/quote.rs"]
#[allow(dead_code, reason = "the picture uses its own part")]
mod quote;
#[path = "../examples/check/refusals.rs"]
mod refusals;
#[path = "../examples/check/svg.rs"]
mod svg;

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use machine::{Mounted, ready};
use roxmltree::{Document, Node};
use swap_dio::linux::{Depth, examine, extents};
use swap_dio::{Bytes, ExtentFlags, ExtentState, FileExtent};

const LIMIT: usize = 1 << 20;

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built::example("check", &[]))
}

fn run<I: AsRef<OsStr>>(folder: &Path, arguments: &[I]) -> Output {
    let mut command = Command::new("timeout");
    command.arg("60").arg(program()).args(arguments).env("NO_COLOR", "1").current_dir(folder);
    command.output().expect("check runs")
}

/// A folder on the disk that this is built on: `/tmp` may be in memory, where there are no extents.
fn on_disk() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder")
}

/// Elements of a class, whatever other classes they have.
fn of_class<'a, 'i>(picture: &'a Document<'i>, class: &'a str) -> Vec<Node<'a, 'i>> {
    let has = move |node: &Node| node.attribute("class").is_some_and(|all| all.split(' ').any(|one| one == class));
    picture.descendants().filter(has).collect()
}

/// Cells of a path that is made of `M{x} {y}h{n}`.
fn cells(path: &Node) -> usize {
    let runs = path.attribute("d").expect("strokes").split('M').skip(1);
    runs.map(|run| run.split('h').nth(1).and_then(|count| count.parse::<usize>().ok()).expect("a length") + 1).sum()
}

fn texts(picture: &Document) -> Vec<String> {
    let is_text = |node: &Node| node.has_tag_name("text");
    let words = |node: Node| node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect();
    picture.descendants().filter(is_text).map(words).collect()
}

/// Every cell of the grid in use, no two neighbours of one look, every one refused: nothing is larger.
#[test]
fn the_fullest_picture_is_small() {
    const PIECE: u64 = 1024;
    const PER_CELL: u64 = 4;
    let (columns, rows) = (grid::COLUMNS as u64, grid::ROWS as u64);
    let size = columns * rows * PER_CELL * PIECE;
    let folder = on_disk();
    let path = folder.path().join("f");
    File::create(&path).and_then(|file| file.set_len(size)).expect("a file that is all hole");
    let found = examine(&path, Depth::All).expect("an examination");
    let in_whole = |reason: &swap_dio::Reason| reason.range().is_some_and(|range| range.length.get() >= size - 65536);
    let is_refused = found.bio.reasons().iter().any(in_whole);

    let mut pieces = 0;
    let drawn = svg::draw(&path, &found, |take| {
        for column in 0..columns {
            for row in 0..rows {
                let looks = [ExtentState::Written, ExtentState::Unwritten];
                let state = looks[usize::try_from((column + row) % 2).expect("small")];
                for part in 0..PER_CELL {
                    let logical = ((column * rows + row) * PER_CELL + part) * PIECE;
                    let physical = (row * columns + column) * PER_CELL * PIECE + part * PIECE;
                    let [logical, physical, length] = [logical, physical, PIECE].map(Bytes::new);
                    take(FileExtent { state, ..FileExtent::written(logical, physical, length) });
                    pieces += 1;
                }
            }
        }
        Ok::<(), ()>(())
    });
    let drawn = drawn.expect("a picture");
    println!("{} bytes for {} extents, refused: {is_refused}", drawn.len(), pieces / 2);
    assert!(pieces / 2 > 100_000 && drawn.len() < LIMIT, "{} bytes", drawn.len());
    assert!(drawn.len() > LIMIT / 4, "{} bytes: this is not the fullest", drawn.len());
    let picture = Document::parse(&drawn).expect("XML");
    let all: usize = ["written", "unwritten"]
        .iter()
        .flat_map(|class| of_class(&picture, class))
        .filter(|node| node.has_tag_name("path"))
        .map(|node| cells(&node))
        .sum();
    assert_eq!(all, grid::COLUMNS * grid::ROWS, "every cell once");
    if is_refused {
        let rims: usize = of_class(&picture, "rim").iter().map(cells).sum();
        assert!(rims > all - grid::ROWS * 2, "{rims} of {all} refused");
    }
}

/// One refused page between a hundred thousand extents: seen in its cell and in its lane.
#[test]
fn a_single_refused_page_is_seen() {
    if !ready(&["mkfs.xfs", "xfs_io"]) {
        return;
    }
    let fs = Mounted::new(&[512], "mkfs.xfs -q $DEV", "mount $DEV $M");
    let make = "dd if=/dev/zero of=f bs=1M count=200 status=none; chmod 600 f; mkswap f >&2; sync -f .; \
                xfs_io -f -c 'reflink f 100m 100m 4k' g >&2; sync -f .";
    fs.run(&fs.root, make).expect("a file");
    let drawn = run(&fs.root, &["--svg", "-", "f"]);
    assert_eq!(drawn.status.code(), Some(1), "{drawn:?}");
    let drawn = String::from_utf8(drawn.stdout).expect("UTF-8");
    let picture = Document::parse(&drawn).expect("XML");
    let shared = of_class(&picture, "shared");
    let rim: usize = of_class(&picture, "rim").iter().map(cells).sum();
    let path: Vec<_> = shared.iter().filter(|node| node.has_tag_name("path")).collect();
    assert_eq!((path.iter().map(|node| cells(node)).sum::<usize>(), rim), (1, 1), "{:?}", texts(&picture));
    for lane in ["no-bio", "no-file"] {
        let marks =
            of_class(&picture, lane).into_iter().filter(|node| node.attribute("class") != Some("swatch no-bio"));
        assert_eq!(marks.filter(|node| node.attribute("class").is_some_and(|all| all.starts_with("mark"))).count(), 1);
    }
    assert!(texts(&picture).iter().any(|text| text.contains("shared") && text.contains("1 range, 4 KiB")));
}

/// A real file of as many extents: blocks of 1 KiB, every second one written, then every second one a hole.
#[test]
fn a_hundred_thousand_extents() {
    if !ready(&["mkfs.ext4", "filefrag"]) {
        return;
    }
    let fs = Mounted::new(&[512], "mkfs.ext4 -q -b 1024 $DEV", "mount $DEV $M");
    let blocks = |name: &str, allocated: bool| {
        let file = File::create_new(fs.root.join(name)).expect("a file");
        if allocated {
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, 200_000 << 10).expect("room");
        }
        for block in 0..100_000 {
            file.write_all_at(&[1; 1024], block * 2048).expect("a block");
        }
        file.sync_all().expect("a sync");
    };
    for (name, allocated, other) in [("holes", false, "hole"), ("unwritten", true, "unwritten")] {
        blocks(name, allocated);
        let mut count = 0;
        extents(&fs.root.join(name), |_| count += 1).expect("its extents");
        assert!(count >= 90_000, "{name}: {count} extents");
        let out = format!("{name}.svg");
        let answer = run(&fs.root, &["--svg", &out, name]);
        assert_eq!(answer.status.code(), Some(1), "{name}: {}", String::from_utf8_lossy(&answer.stderr));
        assert!(String::from_utf8_lossy(&answer.stdout).contains("refuse"), "{name}: said in words as well");
        let drawn = std::fs::read_to_string(fs.root.join(&out)).expect("the picture");
        println!("{name}: {} bytes for {count} extents", drawn.len());
        assert!(drawn.len() < LIMIT, "{name}: {} bytes", drawn.len());
        let picture = Document::parse(&drawn).expect("XML");
        assert!(!of_class(&picture, other).is_empty(), "{name}");
        let titles = of_class(&picture, "hover");
        assert_eq!(titles.len(), grid::COLUMNS, "{name}: every part tells what is in it");
        assert!(titles.iter().all(|node| node.first_element_child().is_some_and(|child| child.has_tag_name("title"))));
        fs.run(&fs.root, &format!("rm {name}")).expect("removed");
    }
}

/// A file with one of everything, under a name that XML has other plans for.
#[test]
fn marks_for_holes_and_unwritten_and_shared() {
    if !ready(&["mkfs.xfs", "xfs_io"]) {
        return;
    }
    let fs = Mounted::new(&[320], "mkfs.xfs -q $DEV", "mount $DEV $M");
    let name = "a <b>&amp;\"c\" ]]> \u{1}é";
    let make = "dd if=/dev/zero of=f bs=1M count=60 status=none; sync -f .; fallocate -o 60M -l 20M f; \
                fallocate -p -o 20M -l 5M f; fallocate -p -o 1M -l 4k f; xfs_io -f -c 'reflink f 40m 40m 4m' g >&2; sync -f .";
    fs.run(&fs.root, make).expect("a file");
    std::fs::rename(fs.root.join("f"), fs.root.join(name)).expect("another name");
    let answer = run(&fs.root, &["--svg", "-", name]);
    let drawn = String::from_utf8(answer.stdout).expect("UTF-8");
    let picture = Document::parse(&drawn).unwrap_or_else(|why| panic!("{why}: {drawn}"));
    for class in ["written", "unwritten", "shared", "hole", "band", "rim", "no-bio", "no-file", "paper"] {
        assert!(!of_class(&picture, class).is_empty(), "{class}");
    }
    let texts = texts(&picture);
    let shown = texts.iter().find(|text| text.contains("<b>&amp;")).expect("the name");
    assert!(shown.contains(r#""c" ]]> \x01"#) || shown.contains("$'"), "{shown}");
    for wanted in ["offset in the file", "offset on the device", "64 MiB", "bio refuse", "file refuse", "unwritten"] {
        assert!(texts.iter().any(|text| text.contains(wanted)), "{wanted}: {texts:?}");
    }
    assert!(picture.root_element().first_element_child().is_some_and(|title| title.has_tag_name("title")));
}

/// Without addresses it says so, and shows what it knows below.
#[test]
fn what_has_no_address_has_a_lane() {
    let folder = on_disk();
    let path = folder.path().join("f");
    std::fs::write(&path, vec![1; 1 << 20]).expect("a file");
    let found = examine(&path, Depth::All).expect("an examination");
    let drawn = svg::draw(&path, &found, |take| {
        let claim = FileExtent::written(Bytes::ZERO, Bytes::ZERO, Bytes::new(512 << 10));
        take(FileExtent { physical: None, ..claim });
        let rest = FileExtent { logical: Bytes::new(512 << 10), physical: None, ..claim };
        take(FileExtent { state: ExtentState::Delayed, flags: ExtentFlags::empty(), ..rest });
        Ok::<(), ()>(())
    });
    let drawn = drawn.expect("a picture");
    let picture = Document::parse(&drawn).expect("XML");
    let marks = |class| {
        let all = of_class(&picture, class).into_iter();
        all.filter(|node| node.attribute("class").is_some_and(|all| all.starts_with("mark"))).count()
    };
    assert_eq!((marks("written"), marks("delayed"), marks("hole")), (1, 1, 0));
    assert!(texts(&picture).iter().any(|text| text.contains("no device address is known")));
}

#[test]
fn nothing_is_overwritten_and_bad_calls_are_told() {
    let folder = on_disk();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("f"), vec![1; 1 << 20]).expect("a file");
    std::fs::write(at("old.svg"), "mine").expect("another");
    std::os::unix::fs::symlink("nowhere", at("dangling.svg")).expect("a symlink");
    // Arguments, exit status.
    let cases: &[(&[&str], i32)] = &[
        (&["--svg", "old.svg", "f"], 2),
        (&["--svg", "f", "f"], 2),
        (&["--svg", "dangling.svg", "f"], 2),
        (&["--svg", "no/such/folder.svg", "f"], 2),
        (&["--svg", "new.svg", "missing"], 2),
        (&["--svg", "new.svg", "."], 2),
        (&["--svg", "new.svg"], 2),
        (&["--svg", "new.svg", "f", "f"], 2),
        (&["--svg", "new.svg", "--json", "f"], 2),
        (&["--svg", "fine.svg", "f"], 1),
        (&["--svg", "fine.svg", "f"], 2),
    ];
    for (arguments, status) in cases {
        let answer = run(folder.path(), arguments);
        let said = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert_eq!(answer.status.code(), Some(*status), "{arguments:?}: {said}");
        assert_eq!(*status == 2, !said.is_empty(), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    assert_eq!(std::fs::read_to_string(at("old.svg")).expect("still there"), "mine");
    assert_eq!(std::fs::read(at("f")).expect("still there"), vec![1; 1 << 20]);
    let mut left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("the folder").map(|entry| entry.expect("one").file_name()).collect();
    left.sort();
    assert_eq!(left, ["dangling.svg", "f", "fine.svg", "old.svg"]);

    let answer = run(folder.path(), &["--svg", "-", "f"]);
    let drawn = String::from_utf8(answer.stdout).expect("UTF-8");
    assert!(Document::parse(&drawn).is_ok(), "nothing but the picture: {drawn}");
    assert_eq!(drawn, std::fs::read_to_string(at("fine.svg")).expect("the same by name"));
    let help = String::from_utf8(run(folder.path(), &["--help"]).stdout).expect("UTF-8");
    assert!(help.contains("--svg <OUT>"), "{help}");
}

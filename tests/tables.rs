//! The tables of the documentation, printed from the code: README.md, `src/lib.rs`, `src/transaction.rs`.
//!
//! Each stands between `<!-- table: NAME -->` and `<!-- end -->`. When one has changed:
//! `UPDATE_TABLES=1 cargo test --test tables` writes them anew.

use std::fmt::Write;
use std::path::Path;

use swap_dio::extent::{ExtentFlags, ExtentState};
use swap_dio::flags::Direction;
use swap_dio::topology::Rule;
use swap_dio::transaction::{Cost, Mapping, Via, cell};
use swap_dio::{
    Activation, Area, Bytes, DeviceId, Features, FileExtent, Model, PageSize, Profile, Reason, Tally, Totals,
};

#[test]
fn the_documentation_has_the_tables_of_the_code() {
    for path in ["README.md", "src/lib.rs", "src/transaction.rs"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(&path).expect("a file of this crate");
        let printed = with_tables(&text);
        if std::env::var_os("UPDATE_TABLES").is_some() {
            std::fs::write(&path, &printed).expect("a file of this crate");
            continue;
        }
        assert!(printed == text, "{}: a table differs from the code; UPDATE_TABLES=1 prints it anew", path.display());
    }
}

/// The text, with every table printed anew.
fn with_tables(text: &str) -> String {
    let (mut out, mut lines, mut tables) = (String::new(), text.lines(), 0);
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").expect("memory");
        let Some((prefix, name)) = line.split_once("<!-- table: ") else { continue };
        let table = table(name.trim_end_matches(" -->"));
        for row in table.lines() {
            writeln!(out, "{prefix}{row}").expect("memory");
        }
        let end = lines.by_ref().find(|line| line.contains("<!-- end -->"));
        writeln!(out, "{}", end.expect("a table has an end")).expect("memory");
        tables += 1;
    }
    assert!(tables > 0, "no table to compare");
    out
}

fn table(name: &str) -> String {
    match name {
        "models" => models(),
        "promises" => promises(),
        "writes" => costs(Direction::Write, &Via::ALL),
        "reads" => costs(Direction::Read, &Via::ALL),
        "topologies" => topologies(),
        "writes, in short" => costs(Direction::Write, &[Via::Device, Via::Ext4, Via::Xfs, Via::Btrfs]),
        other => panic!("no table has the name {other}"),
    }
}

/// What sets the two models apart. What can be tried is tried.
fn models() -> String {
    let written = |logical: u64, physical: u64, pages: u64| {
        FileExtent::written(Bytes::new(logical << 12), Bytes::new(physical), Bytes::new(pages << 12))
    };
    let unwritten = FileExtent { state: ExtentState::Unwritten, ..written(0, 1 << 20, 40) };
    let shared = FileExtent { flags: ExtentFlags::SHARED, ..written(0, 1 << 20, 40) };
    let tried = [
        ("unwritten extents", vec![unwritten]),
        ("a hole", vec![written(0, 1 << 20, 20), written(21, 2 << 20, 19)]),
        ("shared extents", vec![shared]),
        ("runs that are no whole pages of the device", vec![written(0, (1 << 20) + 512, 40)]),
    ];
    let mut rows = row(["", "bio model", "file model"]) + &row(["---"; 3]);
    rows += &row(["swap I/O goes", Model::Bio.way(), Model::File.way()]);
    rows += &row(["used by", Model::Bio.users(), Model::File.users()]);
    rows += &row(["swap page *n* is", Model::Bio.page(), Model::File.page()]);
    for (name, claims) in tried {
        let answer = |model| answer(activate(model, &claims));
        rows += &row([name, &answer(Model::Bio), &answer(Model::File)]);
    }
    let required = |model| names(Features::required(model));
    rows + &row(["promises that it rests on", &required(Model::Bio), &required(Model::File)])
}

fn activate(model: Model, claims: &[FileExtent]) -> Result<Totals, Reason> {
    let area = Area::without_header(Bytes::new(40 << 12), PageSize::KIB_4)?;
    let profile = match model {
        Model::Bio => Profile::Iomap { device: DeviceId::MAIN },
        Model::File => Profile::File,
    };
    let mut activation = Activation::new(profile, &area, Tally)?;
    claims.iter().try_for_each(|claim| activation.push(claim))?;
    activation.finish()
}

fn answer(activated: Result<Totals, Reason>) -> String {
    match activated {
        Ok(totals) if totals.pages.get() < 40 => "accepted, trimmed to whole pages".to_owned(),
        Ok(_) => "accepted".to_owned(),
        Err(reason) => format!("refused (`{}`)", reason.code()),
    }
}

/// Who may serve: every condition, who may go on without it, and what was seen then.
fn topologies() -> String {
    let mut rows = row(["topology", "condition", "lifted by", "seen without it", "source"]) + &row(["---"; 5]);
    for rule in Rule::ALL {
        let line = rule.row();
        let risks = line.lifted_by.to_string();
        let risks = if risks.is_empty() { "nobody".to_owned() } else { format!("`{}`", risks.replace(',', "`, `")) };
        let source = if line.source == "-" { String::new() } else { format!("`{}`", line.source) };
        rows += &row([line.topology, line.condition, &risks, line.measured, &source]);
    }
    rows
}

/// Every promise: what it says, which models rest on it, what breaks it.
fn promises() -> String {
    let mut rows = row(["promise", "what it says", "bio", "file", "broken by"]) + &row(["---"; 5]);
    for (promise, meaning) in Features::MEANINGS {
        let needs = |model| if Features::required(model).contains(promise) { "required" } else { "" };
        let broken = Cost::all().iter().filter(|cost| cost.breaks().contains(promise));
        let broken: Vec<&str> = broken.flat_map(Cost::words).collect();
        rows += &row([&names(promise), meaning, needs(Model::Bio), needs(Model::File), &broken.join(", ")]);
    }
    rows
}

/// What one direction costs, place by place and way by way; what a swap request may cost stands in bold.
fn costs(direction: Direction, ways: &[Via]) -> String {
    let header: Vec<&str> = std::iter::once("").chain(ways.iter().map(|via| via.words())).collect();
    let mut rows = row(&header) + &row(vec!["---"; header.len()]);
    for mapping in Mapping::ALL {
        let cells = ways.iter().map(|via| {
            let cost = cell(direction, mapping, *via).cost;
            let words: Vec<&str> = cost.words().collect();
            let words = if words.is_empty() { "nothing".to_owned() } else { words.join(", ") };
            if Cost::TOLERATED.contains(cost) { format!("**{words}**") } else { words }
        });
        rows += &row(std::iter::once(mapping.words().to_owned()).chain(cells).collect::<Vec<_>>());
    }
    rows
}

fn names(features: Features) -> String {
    let names: Vec<String> = features.iter_names().map(|(name, _)| format!("`{name}`")).collect();
    names.join(", ")
}

fn row<T: AsRef<str>>(cells: impl AsRef<[T]>) -> String {
    let cells: Vec<&str> = cells.as_ref().iter().map(AsRef::as_ref).collect();
    format!("| {} |\n", cells.join(" | "))
}

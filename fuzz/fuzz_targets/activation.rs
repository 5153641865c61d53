//! Law: whatever is claimed of a file, by whatever profile, the crate answers as the naive model does.
//!
//! `naive::agree::check` compares verdict, first reason, totals and every page, fed in every way. Run it with
//! `cargo fuzz run activation` in the repository's root.

#![no_main]

#[path = "../../tests/naive/mod.rs"]
mod naive;

use libfuzzer_sys::fuzz_target;
use naive::script::{Script, Step};
use naive::{agree, plain};
use swap_dio::{Activation, Sectors};

/// The numbers of a [`Script`].
#[derive(arbitrary::Arbitrary, Debug)]
struct Input {
    page: u8,
    rules: u8,
    block: u8,
    pages: u8,
    header: u8,
    tail: u16,
    tame: u8,
    device_size: u8,
    sectors: u64,
    steps: Vec<(u8, u8, u8, u8, u8, u16)>,
}

fuzz_target!(|input: Input| {
    let Input { page, rules, block, pages, header, tail, tame, device_size, sectors, steps } = input;
    let steps = steps
        .into_iter()
        .take(24)
        .map(|(place, length, state, flags, trouble, number)| Step { place, length, state, flags, trouble, number })
        .collect();
    let file = Script { page, rules, block, pages, header, tail, tame, device_size, steps }.file();
    agree::check(&file);

    let network = Activation::network(&agree::area(&file), Sectors::new(sectors), Vec::new());
    agree::same_totals(&plain::network(file.page, file.max, file.size, sectors), &network);
});

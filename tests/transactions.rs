//! The decision table against a filesystem that really allocates, converts and copies: that of `examples/embed.rs`; and
//! the engine against ext4 and XFS, whose transactions are counted.

#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "transactions/count.rs"]
mod count;
#[path = "../examples/embed/fs.rs"]
mod fs;
#[path = "../examples/embed/journal.rs"]
mod journal;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[allow(dead_code)]
mod machine;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "transactions/real.rs"]
mod real;
#[cfg(all(feature = "linux", target_os = "linux"))]
#[path = "transactions/written.rs"]
mod written;

use fs::{Data, Fs, PAGE};
use journal::Journal;
use proptest::prelude::*;
use swap_dio::extent::{ExtentFlags, ExtentState};
use swap_dio::flags::Direction;
use swap_dio::transaction::{Cost, Mapping, Via, cell};
use swap_dio::{Activation, Area, Bytes, Features, FileExtent, Model, PageSize, Profile, Tally};

/// What is at a page now, as the filesystem's own claims say.
fn mapping(fs: &Fs, page: usize) -> Mapping {
    fs.extents().get(page).map_or(Mapping::PastEnd, |claim| Mapping::of(claim).expect("a row for each of its places"))
}

fn accepts(fs: &Fs) -> bool {
    let Ok(area) = Area::without_header(fs.size(), PageSize::KIB_4) else { return false };
    let mut activation = Activation::new(Profile::File, &area, Tally).expect("the area of a file");
    let pushed = fs.extents().iter().try_for_each(|extent| activation.push(extent));
    pushed.and_then(|()| activation.finish()).is_ok()
}

proptest! {
    /// Every I/O costs what the table says, whatever was done before it; and what was written is read back.
    #[test]
    fn an_io_costs_what_the_table_says(
        places in prop::collection::vec(0usize..7, 1..20),
        steps in prop::collection::vec((any::<bool>(), 0usize..24, any::<u8>()), 1..60),
    ) {
        let places: Vec<Mapping> = places.into_iter().map(|place| Mapping::ALL[place]).collect();
        let fs = Fs::new(&places, Journal::new(3, 1));
        let mut written: Vec<Option<Data>> = vec![None; 24];
        for (write, page, value) in steps {
            let (before, transactions) = (mapping(&fs, page), fs.journal.transactions());
            let direction = if write { Direction::Write } else { Direction::Read };
            if write {
                fs.write(page, &[value; PAGE]).expect("there is memory");
                written[page] = Some([value; PAGE]);
            } else {
                let read = fs.read(page).expect("there is memory");
                prop_assert_eq!(read.is_none(), before == Mapping::PastEnd);
                if let (Some(read), Some(written)) = (read, written[page]) {
                    prop_assert!(read == written, "page {}", page);
                }
            }
            let expected = cell(direction, before, Via::Iomap).cost;
            prop_assert_eq!(fs.journal.take_costs(), expected, "{:?} of {:?}", direction, before);
            let promises = Features::TXN_FREE_SUBMIT | Features::TXN_FREE_COMPLETE;
            let ran = fs.journal.transactions() != transactions;
            prop_assert_eq!(expected.breaks().intersects(promises), ran, "{:?} of {:?}", direction, before);
        }
    }

    /// A file is activated for the file model if, and only if, no I/O to any of its pages costs more than times.
    #[test]
    fn activation_admits_what_costs_nothing(places in prop::collection::vec(0usize..7, 2..12)) {
        let places: Vec<Mapping> = places.into_iter().map(|place| Mapping::ALL[place]).collect();
        let fs = Fs::new(&places, Journal::new(3, 1));
        let costs = |mapping| Direction::ALL.into_iter().map(move |direction| cell(direction, mapping, Via::Iomap).cost);
        let free = places.iter().flat_map(|mapping| costs(*mapping)).all(|cost| Cost::TOLERATED.contains(cost));
        prop_assert_eq!(accepts(&fs), free, "{:?}", places);
    }
}

#[test]
fn only_a_write_in_place_is_tolerated_through_a_filesystem() {
    for via in Via::ALL {
        for mapping in Mapping::ALL {
            let [read, write] = Direction::ALL.map(|direction| cell(direction, mapping, via));
            assert!(read.source.contains(':') && write.source.contains(':'), "{mapping:?} {via:?}: file:function");
            let tolerated = Cost::TOLERATED.contains(read.cost | write.cost);
            let in_place = match via {
                Via::Device => matches!(mapping, Mapping::Written | Mapping::Unwritten),
                Via::Iomap | Via::Ext4 | Via::Xfs => mapping == Mapping::Written,
                Via::Ext4Journal | Via::XfsAlwaysCow | Via::Btrfs => false,
            };
            assert_eq!(tolerated, in_place, "{mapping:?} {via:?}: {:?}, {:?}", read.cost, write.cost);
        }
    }
}

#[test]
fn a_cost_breaks_its_promises() {
    let (submit, complete) = (Features::TXN_FREE_SUBMIT, Features::TXN_FREE_COMPLETE);
    let rows = [
        (Cost::empty(), Features::empty()),
        (Cost::TIMESTAMP, Features::NO_TIMESTAMPS),
        (Cost::ALLOCATION, submit),
        (Cost::CONVERSION, complete),
        (Cost::EXTENSION, submit | complete),
        (Cost::COPY_ON_WRITE, submit | complete),
        (Cost::ORDERED_EXTENT, complete),
        (Cost::BUFFERED, Features::NO_BUFFERED_FALLBACK),
        (Cost::ZEROS, Features::empty()),
        (Cost::SHORT, Features::empty()),
        (Cost::NO_PLACE, Features::empty()),
        (Cost::OTHERS_DATA, Features::empty()),
        (Cost::ALLOCATION | Cost::BUFFERED, submit | Features::NO_BUFFERED_FALLBACK),
    ];
    for (cost, promises) in rows {
        assert_eq!(cost.breaks(), promises, "{cost:?}");
        assert_eq!(cost.words().count(), cost.iter().count(), "{cost:?}");
    }
    // Times alone leave what the file model requires.
    assert!(!Features::required(Model::File).intersects(Cost::TOLERATED.breaks()));
}

#[test]
fn a_claim_is_at_the_place_that_a_write_meets() {
    let claim = |state, flags| FileExtent {
        state,
        flags,
        ..FileExtent::written(Bytes::ZERO, Bytes::new(4096), Bytes::new(4096))
    };
    use ExtentState::{Delayed, Hole, Inline, Unwritten, Written};
    let none = ExtentFlags::empty();
    let rows = [
        (Written, none, Mapping::Written),
        (Unwritten, none, Mapping::Unwritten),
        (Hole, none, Mapping::Hole),
        (Delayed, none, Mapping::Delayed),
        (Inline, none, Mapping::Inline),
        (Written, ExtentFlags::SHARED, Mapping::Shared),
        (Unwritten, ExtentFlags::SHARED, Mapping::Shared),
        (Written, ExtentFlags::COMPRESSED, Mapping::Encoded),
        (Written, ExtentFlags::ENCRYPTED | ExtentFlags::SHARED, Mapping::Encoded),
        (Written, ExtentFlags::UNCOMMITTED, Mapping::Written),
        (Hole, ExtentFlags::SHARED, Mapping::Hole),
    ];
    for (state, flags, expected) in rows {
        assert_eq!(Mapping::of(&claim(state, flags)), Some(expected), "{state:?} {flags:?}");
    }
    use ExtentFlags as F;
    for flag in [F::SEQUENTIAL_ZONE, F::NOT_SINGLE, F::NOT_ALIGNED, F::GROUP_READ_ONLY, F::all()] {
        assert_eq!(Mapping::of(&claim(Written, flag)), None, "{flag:?}: no row stands for it");
    }
}

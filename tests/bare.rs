//! The bare core, as a filesystem without an allocator has it: the caller's memory, every profile, the same answers
//! with any feature.

use swap_dio::activation::BtrfsInode;
use swap_dio::header::{Endian, Label, MAXIMUM_PAGES, NewHeader};
use swap_dio::{
    Activation, Area, Backing, BlockSize, Bytes, DeviceId, ExtentState, FileExtent, Header, PageCount, PageIndex,
    PageSize, Profile, Reason, Sectors, Slot, Tally, Totals,
};

const PAGE: u64 = 4096;

fn page_header(pages: u64) -> [u8; 4096] {
    let mut page = [0; 4096];
    let header = NewHeader {
        page_size: PageSize::KIB_4,
        endian: Endian::NATIVE,
        pages: PageCount::new(pages),
        uuid: [0; 16],
        label: Label::NONE,
        bad_pages: &[],
    };
    header.write(&mut page).expect("a page");
    page
}

fn area(backing: Backing) -> Area {
    let page = page_header(40);
    let header = Header::read(&page, PageSize::KIB_4).expect("a header");
    header.area(backing, Bytes::new(40 * PAGE), MAXIMUM_PAGES).expect("forty pages")
}

fn totals(usable: u64, extents: u32) -> Result<(u64, u32), &'static str> {
    Ok((usable, extents))
}

fn told(totals: Result<Totals, Reason>) -> Result<(u64, u32), &'static str> {
    totals.map(|totals| (totals.usable.get(), totals.extents)).map_err(|reason| reason.code())
}

#[test]
fn every_profile_fills_the_callers_memory() {
    let block = BlockSize::KIB_4;
    let profiles = [
        ("iomap", Profile::Iomap { device: DeviceId::MAIN }),
        ("bmap", Profile::Bmap { block }),
        ("btrfs", Profile::Btrfs { sector: block }),
        ("f2fs", Profile::F2fs { main: PageIndex::new(8), section: Bytes::new(20 * PAGE) }),
        ("file", Profile::File),
    ];
    let run = |logical: u64, physical: u64, pages: u64, state| FileExtent {
        state,
        ..FileExtent::written(Bytes::new(logical * PAGE), Bytes::new(physical * PAGE), Bytes::new(pages * PAGE))
    };
    use ExtentState::{Unwritten, Written};
    // Claims, and what the bio profiles and the file profile make of them.
    let cases = [
        ("in one run", vec![run(0, 28, 40, Written)], totals(39, 1), totals(39, 1)),
        ("in two runs", vec![run(0, 28, 20, Written), run(20, 88, 20, Written)], totals(39, 2), totals(39, 1)),
        ("unwritten", vec![run(0, 28, 20, Written), run(20, 48, 20, Unwritten)], totals(39, 1), Err("unwritten")),
        ("a hole", vec![run(0, 28, 20, Written), run(21, 49, 19, Written)], Err("hole"), Err("hole")),
        ("cut off", vec![run(0, 28, 20, Written)], Err("hole"), Err("hole")),
    ];
    for (case, claims, bio, file) in &cases {
        for (name, profile) in profiles {
            let expected = if profile == Profile::File { file } else { bio };
            let mut slots = [Slot::EMPTY; Slot::needed(2)];
            let mut activation =
                Activation::new(profile, &area(Backing::RegularFile), slots.as_mut_slice()).expect(name);
            let pushed = claims.iter().try_for_each(|claim| activation.push(claim));
            let map = pushed.and_then(|()| activation.finish());
            let totals = map.as_ref().map(|map| map.totals()).map_err(|reason| *reason);
            assert_eq!(told(totals), *expected, "{name}, {case}");
            if let Ok(map) = map {
                let target = map.run(PageIndex::new(25)).map(|run| (run.target().get(), run.length().get()));
                let there = if profile == Profile::File {
                    25
                } else {
                    claims
                        .last()
                        .map_or(0, |last| 25 + last.physical.map_or(0, Bytes::get) / PAGE - last.logical.get() / PAGE)
                };
                assert_eq!(target, Ok((there, 15)), "{name}, {case}");
                assert_eq!(map.cursor().run(PageIndex::new(25)), map.run(PageIndex::new(25)), "{name}, {case}");
                assert_eq!(
                    map.runs([PageIndex::new(25), PageIndex::new(40)])[1].map_err(|why| why.code()),
                    Err("outside-area")
                );
            }
            let mut tally = Activation::new(profile, &area(Backing::RegularFile), Tally).expect(name);
            let pushed = claims.iter().try_for_each(|claim| tally.push(claim));
            assert_eq!(told(pushed.and_then(|()| tally.finish())), *expected, "{name}, {case}: only counted");
        }
    }
}

#[test]
fn memory_that_is_too_small_is_said() {
    let mut slots = [Slot::EMPTY; 1];
    let profile = Profile::Iomap { device: DeviceId::MAIN };
    let mut activation =
        Activation::new(profile, &area(Backing::RegularFile), slots.as_mut_slice()).expect("a profile");
    let claims = (0..40).map(|page| {
        FileExtent::written(Bytes::new(page * PAGE), Bytes::new((100 - 2 * page) * PAGE), Bytes::new(PAGE))
    });
    let pushed = claims.map(|claim| activation.push(&claim)).find_map(Result::err);
    assert_eq!(pushed, Some(Reason::MapFull { capacity: 1 }));
}

#[test]
fn network_files_and_devices_are_their_own_targets() {
    let (file, device) = (area(Backing::RegularFile), area(Backing::BlockDevice));
    let sectors = |pages: u64| Sectors::new(pages * PAGE / 512);
    let cases = [
        ("all sectors", told(Activation::network(&file, sectors(40), Tally)), totals(39, 1)),
        ("one sector less", told(Activation::network(&file, Sectors::new(319), Tally)), Err("hole")),
        (
            "a network file that is a device",
            told(Activation::network(&device, sectors(40), Tally)),
            Err("other-backing"),
        ),
        ("a device", told(Activation::block_device(&device, Tally)), totals(39, 1)),
        ("a device that is a file", told(Activation::block_device(&file, Tally)), Err("other-backing")),
    ];
    for (name, got, expected) in cases {
        assert_eq!(got, expected, "{name}");
    }
}

#[test]
fn a_btrfs_inode_is_judged_in_the_kernels_order() {
    let inode = BtrfsInode { compressed: true, no_cow: false, no_checksums: false, busy: None };
    let mut codes = Vec::new();
    inode.judge(|reason| codes.push(reason.code()));
    assert_eq!(codes, ["compressed", "copy-on-write", "checksummed"]);
}

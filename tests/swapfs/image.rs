//! The image on disk, in memory: what is made is what is read, and what is damaged is refused or does no harm.

use std::cell::Cell;

use proptest::prelude::*;

use crate::scatter;
use crate::superblock::{BLOCK, BLOCK_BYTES, Damage, Extent, Layout, MOST_EXTENTS, SMALLEST_FILE, seal};

const MIB: u64 = 1 << 20;

/// The metadata of an image, as it lies there; the file's own blocks are not kept.
struct Image {
    size: u64,
    block: [u8; BLOCK_BYTES],
    table: Vec<u8>,
    table_at: u64,
    /// The place of the last read that was not of one of the two.
    strayed: Cell<Option<u64>>,
}

impl Image {
    fn of(layout: &Layout) -> Self {
        let (block, table) = layout.encode();
        Self { size: layout.image(), block, table, table_at: layout.table_offset(), strayed: Cell::new(None) }
    }

    fn read(&self) -> Result<Layout, Damage> {
        Layout::read(self.size, |at, buffer| {
            assert!(at + buffer.len() as u64 <= self.size, "a read past the end of the image");
            buffer.fill(0);
            let from: &[u8] = match at {
                0 => &self.block,
                at if at == self.table_at => &self.table,
                at => {
                    self.strayed.set(Some(at));
                    &[]
                }
            };
            let length = from.len().min(buffer.len());
            buffer[..length].copy_from_slice(&from[..length]);
            Ok::<(), Damage>(())
        })
    }

    /// As somebody would who means harm: both checksums fit again.
    fn seal(&mut self) {
        self.block[60..64].copy_from_slice(&crc32fast::hash(&self.table).to_le_bytes());
        seal(&mut self.block);
    }
}

/// The law, written down a second time: a byte of the image has one owner.
fn assert_sound(layout: &Layout, size: u64) {
    assert!(layout.image() <= size);
    assert!(!layout.extents().is_empty() && layout.extents().len() <= MOST_EXTENTS);
    let table = (layout.extents().len() as u64 * 24).div_ceil(BLOCK);
    let mut owned = vec![(0, 1), (layout.table_offset() / BLOCK, table)];
    let mut next = 0;
    for Extent { logical, physical, length } in layout.extents() {
        assert_eq!((logical % BLOCK, physical % BLOCK, length % BLOCK), (0, 0, 0));
        assert_eq!(*logical, next, "in order, without a gap");
        assert!(*length > 0);
        owned.push((physical / BLOCK, length / BLOCK));
        next = logical + length;
    }
    assert_eq!(next, layout.file());
    for (index, (start, length)) in owned.iter().enumerate() {
        assert!(start + length <= layout.image() / BLOCK, "outside the image");
        for (other, more) in &owned[index + 1..] {
            assert!(start + length <= *other || other + more <= *start, "two owners: {layout:?}");
        }
    }
}

fn planned(file: u64) -> Layout {
    scatter::plan(*b"swapfs' own test", file).expect("a layout")
}

#[test]
fn what_is_planned_is_sound_and_scattered() {
    for file in [SMALLEST_FILE, SMALLEST_FILE + 1, 100 * BLOCK, MIB, 64 * MIB, 384 * MIB, 1 << 40] {
        for seed in 0..50u8 {
            let layout = scatter::plan([seed; 16], file).expect("a layout");
            assert_sound(&layout, layout.image());
            assert_eq!(layout.file(), file.next_multiple_of(BLOCK));
            assert_eq!(Some(layout.image()), scatter::image_for(file));
            if file >= 100 * BLOCK {
                let back = layout.extents().windows(2).filter(|pair| pair[1].physical < pair[0].physical).count();
                assert!(layout.extents().len() > 16 && back > 3, "out of order: {layout:?}");
            }
        }
    }
    assert_eq!(scatter::plan([0; 16], SMALLEST_FILE - 1), Err(Damage::FileSize(SMALLEST_FILE - 1)));
    assert!(scatter::plan([0; 16], u64::MAX).is_err());
}

#[test]
fn the_largest_file_of_a_device_fits_into_it() {
    for image in [MIB, MIB + 512, 10 * MIB + 4095, 1 << 40] {
        let layout = planned(scatter::file_in(image));
        assert!(layout.image() <= image && image - layout.image() < 2 * BLOCK, "{image}: {layout:?}");
    }
    assert_eq!(scatter::file_in(0), 0);
}

#[test]
fn what_is_written_is_read() {
    for file in [SMALLEST_FILE, 3 * MIB, 1 << 40] {
        let layout = planned(file);
        let image = Image::of(&layout);
        assert_eq!(image.read(), Ok(layout.clone()));
        // Every block of the file is found where the table says, and nothing behind its end.
        for extent in layout.extents() {
            for within in [0, extent.length / 2, extent.length - 1] {
                assert_eq!(layout.extent_at(extent.logical + within), Some(*extent));
            }
        }
        assert_eq!((layout.extent_at(layout.file()), layout.extent_at(u64::MAX)), (None, None));
    }
}

#[test]
fn every_flipped_bit_of_superblock_and_table_is_refused() {
    let layout = planned(3 * MIB);
    let mut image = Image::of(&layout);
    for at in 0..BLOCK_BYTES {
        for bit in 0..8 {
            image.block[at] ^= 1 << bit;
            assert!(image.read().is_err(), "superblock, byte {at}, bit {bit}");
            image.block[at] ^= 1 << bit;
        }
    }
    for at in 0..image.table.len() {
        for bit in 0..8 {
            image.table[at] ^= 1 << bit;
            assert!(image.read().is_err(), "table, byte {at}, bit {bit}");
            image.table[at] ^= 1 << bit;
        }
    }
    assert_eq!(image.read(), Ok(layout));
}

#[test]
fn every_byte_that_is_changed_with_the_checksums_is_refused_or_sound() {
    let layout = planned(3 * MIB);
    let (mut refused, mut harmless) = (0u32, 0u32);
    let mut ask = |image: &Image| match image.read() {
        Ok(found) => {
            assert_sound(&found, image.size);
            harmless += 1;
        }
        Err(_) => refused += 1,
    };
    for at in 0..64 {
        for value in 0..=255 {
            let mut image = Image::of(&layout);
            image.block[at] = value;
            if !(60..64).contains(&at) {
                image.seal();
            } else {
                seal(&mut image.block);
            }
            ask(&image);
        }
    }
    for at in 0..layout.extents().len() * 24 {
        for value in [0, 1, 0x0f, 0x10, 0x7f, 0x80, 0xf0, 0xff] {
            let mut image = Image::of(&layout);
            image.table[at] = value;
            image.seal();
            ask(&image);
        }
    }
    // A byte that was already so, and the UUID, are harmless; hardly anything else is.
    assert!(refused > 10_000 && harmless > 1_000, "{refused} refused, {harmless} harmless");
}

#[test]
fn each_refusal_says_what_and_where() {
    let layout = planned(3 * MIB);
    let at = |place: usize, bytes: &'static [u8]| {
        move |image: &mut Image| image.block[place..place + bytes.len()].copy_from_slice(bytes)
    };
    let entry = |place: usize, value: u64| {
        move |image: &mut Image| image.table[place..place + 8].copy_from_slice(&value.to_le_bytes())
    };
    let first = layout.extents()[0];
    let second = layout.extents()[1];
    type Harm<'a> = Box<dyn Fn(&mut Image) + 'a>;
    let rows: Vec<(&str, Harm<'_>)> = vec![
        ("version 2 of the format", Box::new(at(8, &[2]))),
        ("a block of 512 bytes", Box::new(at(12, &[0, 2]))),
        ("an image size of", Box::new(at(32, &[0xff, 0x0f]))),
        ("a file size of", Box::new(at(40, &[1]))),
        ("the extents cover 3145728 bytes of a file of 3141632", Box::new(at(40, &[0, 0xf0, 0x2f]))),
        ("the table at byte 0 does not lie", Box::new(at(48, &[0; 8]))),
        (
            "does not lie between the superblock and the end",
            Box::new(at(48, &[0, 0xf0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ),
        ("0 extents: at least one", Box::new(at(56, &[0; 4]))),
        ("4294967295 extents: at least one and at most 1024", Box::new(at(56, &[0xff; 4]))),
        ("must be zeros after the superblock", Box::new(at(3000, &[1]))),
        ("must be zeros after the table", Box::new(|image| image.table[4000] = 1)),
        ("extent 0 begins at byte 4096 of the file, not at 0", Box::new(entry(0, BLOCK))),
        ("extent 1 begins at byte 0 of the file", Box::new(entry(24, 0))),
        ("a place at 4097 is not a number of whole blocks", Box::new(entry(8, BLOCK + 1))),
        ("a length of 1 is not", Box::new(entry(16, 1))),
        ("extent 0, 0 bytes", Box::new(entry(16, 0))),
        ("does not lie inside the image", Box::new(entry(8, layout.image() - first.length + BLOCK))),
        ("does not lie inside the image", Box::new(entry(8, u64::MAX - 4095))),
        ("extent 0 at byte 0 lies over the superblock", Box::new(entry(8, 0))),
        ("lies over another one", Box::new(entry(8, second.physical))),
        ("lies over the table", Box::new(entry(8, layout.table_offset()))),
    ];
    for (expected, harm) in rows {
        let mut image = Image::of(&layout);
        harm(&mut image);
        image.seal();
        let damage = image.read().expect_err(expected).to_string();
        assert!(damage.contains(expected), "{damage:?} does not say {expected:?}");
        assert!(!damage.contains('\n') && !damage.ends_with('.'), "{damage}");
    }
    let mut image = Image::of(&layout);
    image.size -= 1;
    assert_eq!(image.read(), Err(Damage::Truncated { said: layout.image(), found: layout.image() - 1 }));
    image.size = 100;
    assert_eq!(image.read(), Err(Damage::Magic));
    let mut image = Image::of(&layout);
    image.table[0] = 1;
    assert!(image.read().expect_err("a flip").to_string().starts_with("the table is damaged: its checksum is"));
}

proptest! {
    #[test]
    fn noise_with_fitting_checksums_is_refused_or_sound(
        noise in proptest::collection::vec((0usize..64 + 24 * 24, any::<u8>()), 1..8),
        swaps in proptest::collection::vec((0usize..24, 0usize..24, 0usize..3), 0..4),
    ) {
        let mut image = Image::of(&planned(3 * MIB));
        for (at, byte) in noise {
            match at.checked_sub(64) {
                None => image.block[at] = byte,
                Some(at) => image.table[at] = byte,
            }
        }
        // Fields of one extent put into another: what noise alone hardly ever meets.
        for (from, to, field) in swaps {
            let bytes: [u8; 8] = image.table[from * 24 + field * 8..][..8].try_into().expect("eight bytes");
            image.table[to * 24 + field * 8..][..8].copy_from_slice(&bytes);
        }
        image.seal();
        if let Ok(layout) = image.read() {
            assert_sound(&layout, image.size);
        }
    }
}

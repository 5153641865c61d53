//! Where the blocks of a new file go: in several extents, out of order and with gaps, on purpose.
//!
//! A filesystem that is old looks like that, and one run from front to back would hide every mistake of a block map.
//! Nothing is aligned to more than a block. The same UUID gives the same places.

use crate::superblock::{BLOCK, Damage, Extent, Layout, SMALLEST_FILE, table_bytes};

const EXTENTS: u64 = 24;
/// The longest gap before an extent, in blocks.
const GAP: u64 = 7;

/// The bytes of an image that has a file of `file` bytes: the same for every UUID.
pub(crate) fn image_for(file: u64) -> Option<u64> {
    let blocks = file.div_ceil(BLOCK).checked_add(overhead(pieces(file.div_ceil(BLOCK))))?;
    blocks.checked_mul(BLOCK)
}

/// The bytes of the largest file that fits into an image of `image` bytes.
pub(crate) fn file_in(image: u64) -> u64 {
    (image / BLOCK).saturating_sub(overhead(EXTENTS)) * BLOCK
}

/// Plans an image for a file of `file` bytes, rounded up to whole blocks.
pub(crate) fn plan(uuid: [u8; 16], file: u64) -> Result<Layout, Damage> {
    let blocks = file.div_ceil(BLOCK);
    let image = image_for(file).filter(|_| file >= SMALLEST_FILE).ok_or(Damage::FileSize(file))?;
    let mut random = fastrand::Rng::with_seed(u64::from_le_bytes([
        uuid[0], uuid[1], uuid[2], uuid[3], uuid[4], uuid[5], uuid[6], uuid[7],
    ]));
    let count = pieces(blocks);
    let lengths = cut(blocks, count, &mut random);
    // Which piece comes at which place of the image; the table stands among them like one more.
    let mut order: Vec<usize> = (0..=lengths.len()).collect();
    random.shuffle(&mut order);
    let (mut at, mut table, mut places) = (1, 0, vec![0; lengths.len()]);
    for piece in order {
        at += random.u64(0..=GAP);
        match lengths.get(piece) {
            Some(length) => (places[piece], at) = (at, at + length),
            None => (table, at) = (at, at + table_blocks(count)),
        }
    }
    let mut logical = 0;
    let extents = lengths.iter().zip(&places).map(|(length, place)| {
        let extent = Extent { logical, physical: place * BLOCK, length: length * BLOCK };
        logical += extent.length;
        extent
    });
    Layout::new(uuid, image, table * BLOCK, extents.collect())
}

fn pieces(blocks: u64) -> u64 {
    EXTENTS.min(blocks)
}

fn table_blocks(extents: u64) -> u64 {
    table_bytes(usize::try_from(extents).unwrap_or(usize::MAX)) as u64 / BLOCK
}

/// Blocks of an image that are not the file's: superblock, table, and the longest gaps.
fn overhead(extents: u64) -> u64 {
    1 + table_blocks(extents) + (extents + 1) * GAP
}

/// Cuts `blocks` into `count` pieces of at least one, most of them unequal.
fn cut(blocks: u64, count: u64, random: &mut fastrand::Rng) -> Vec<u64> {
    let (mut left, mut lengths) = (blocks, Vec::new());
    for after in (0..count).rev() {
        let fair = left / (after + 1);
        let length = if after == 0 { left } else { random.u64(fair.div_ceil(2)..=(fair + fair / 2).min(left - after)) };
        lengths.push(length.max(1));
        left -= length.max(1);
    }
    lengths
}

//! Heapsort, in place: the sorts of `core` can panic, on an order that contradicts itself.

use core::cell::Cell;

/// Sorts by key, lowest first. `n log n` steps on every input; equal keys end in any order.
pub(crate) fn by_key<T: Copy>(places: &mut [T], key: impl Fn(&T) -> u64) {
    let places = Cell::from_mut(places).as_slice_of_cells();
    let mut end = places.len();
    let mut root = end / 2;
    while end > 1 {
        if let Some(before) = root.checked_sub(1) {
            root = before;
        } else {
            end = end.saturating_sub(1);
            exchange(places, 0, end);
        }
        sift_down(places.get(..end).unwrap_or_default(), root, &key);
    }
}

/// Moves the item at `root` down until no child has a higher key.
fn sift_down<T: Copy>(places: &[Cell<T>], mut root: usize, key: &impl Fn(&T) -> u64) {
    // A place past the end has no key, which is less than any.
    let key = |at: usize| places.get(at).map(|place| key(&place.get()));
    loop {
        let left = root.saturating_mul(2).saturating_add(1);
        let right = left.saturating_add(1);
        let child = if key(right) > key(left) { right } else { left };
        if key(child) <= key(root) {
            return;
        }
        exchange(places, root, child);
        root = child;
    }
}

fn exchange<T: Copy>(places: &[Cell<T>], one: usize, other: usize) {
    if let (Some(one), Some(other)) = (places.get(one), places.get(other)) {
        one.set(other.replace(one.get()));
    }
}

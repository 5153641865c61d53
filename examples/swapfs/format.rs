//! `swapfs format`: makes an image, and destroys nothing that was there unless that is said twice.

use std::path::Path;

use uuid::Uuid;

use crate::image::Image;
use crate::scatter;
use crate::superblock::Layout;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Makes an image on a device, or in a file, which is made if it is missing.
pub(crate) fn format(path: &Path, size: Option<u64>, force: u8) -> Result<Layout> {
    let is_device =
        std::fs::metadata(path).is_ok_and(|data| std::os::unix::fs::FileTypeExt::is_block_device(&data.file_type()));
    if !is_device && size.is_none() {
        return Err("how large? say --size".into());
    }
    // What cannot be planned makes no file.
    size.map_or(Ok(()), |size| scatter::plan([0; 16], size).map(drop))?;
    let image = if is_device { Image::open(path)? } else { Image::create(path)? };
    format_image(&image, size, force)
}

/// The same on an image that is open.
pub(crate) fn format_image(image: &Image, size: Option<u64>, force: u8) -> Result<Layout> {
    if let Some(content) = image.content()?.filter(|_| force < 2) {
        let said = if force == 1 { "--force must be said twice" } else { "--force, said twice, destroys it" };
        return Err(format!("{} holds {content}: {said}", image.path.display()).into());
    }
    let size = match size {
        Some(size) => size,
        None if image.is_device => scatter::file_in(image.size),
        None => return Err("how large? say --size".into()),
    };
    let layout = scatter::plan(*Uuid::new_v4().as_bytes(), size)?;
    if image.is_device && layout.image() > image.size {
        let (needed, found) = (layout.image(), image.size);
        return Err(format!("{}: {needed} bytes are needed, the device has {found}", image.path.display()).into());
    }
    image.write(&layout)?;
    Ok(layout)
}

/// What an image is, in a line.
pub(crate) fn describe(layout: &Layout) -> String {
    let (uuid, extents) = (Uuid::from_bytes(layout.uuid()), layout.extents().len());
    format!("image {uuid}: a swapfile of {} bytes in {extents} extents", layout.file())
}

//! Bytes as a JPEG file.

use oculist_jpeg::{Header, Image, Region, Request};
use oculist_kernels::Isa;

/// The most pixels of which every reduction and instruction set is tried.
const FEW: usize = 1 << 16;

/// Decodes the bytes in all ways: whole, reduced, parts of it, by every instruction set.
///
/// A file that decodes gives the same pixels by every instruction set, and a region those that one would cut from the
/// whole. A file that does not is refused the same way by every instruction set.
///
/// # Panics
/// If the decoder is at fault.
pub fn jpeg(bytes: &[u8]) {
    let Ok(header) = Header::parse(bytes) else { return };
    let (width, height, channels) = (header.width(), header.height(), header.channels());
    assert!(width > 0 && height > 0 && matches!(channels, 1 | 3), "{width}x{height} of {channels}");
    assert!(header.exif().iter().all(|data| data.len() <= bytes.len()), "Exif data that are not of the file");
    assert!(header.xmp().is_none_or(|data| data.len() <= bytes.len()), "XMP that is not of the file");

    let whole = header.decode(&Request::whole());
    if let Ok(image) = &whole {
        check_size(image, width, height, channels);
        // Each block of 8x8 samples takes a bit at least, and a sample stands for 16 pixels at most.
        assert!(width * height <= bytes.len() * 8 * 64 * 16, "{width}x{height} of {} bytes", bytes.len());
    }
    let few = width * height <= FEW;
    for isa in Isa::available().into_iter().filter(|&isa| few && isa != Isa::detect()) {
        assert_eq!(header.decode(&Request { isa, ..Request::whole() }), whole, "by {isa:?}");
    }
    // Places that depend on all bytes.
    let mut seed = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut below = |n: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % n
    };
    region(&header, &whole, 1, &mut below);
    if few {
        for reduction in [2, 4, 8] {
            let reduced = header.decode(&Request::whole().reduced(reduction));
            if let Ok(image) = &reduced {
                check_size(image, width.div_ceil(reduction), height.div_ceil(reduction), channels);
            }
            region(&header, &reduced, reduction, &mut below);
        }
    }
    // Requests that no image fits.
    for request in [
        Request::whole().reduced([0, 3, 16, usize::MAX][below(4)]),
        Request::whole().of(Region { x: below(width), y: 0, width: 0, height: 1 }),
        Request::whole().of(Region { x: usize::MAX, y: 1, width: 2, height: 1 }),
        Request::whole().of(Region { x: 0, y: 0, width, height: height + 1 }).in_place(),
    ] {
        assert!(header.decode(&request).is_err(), "{request:?} of {width}x{height}");
    }
}

fn check_size(image: &Image, width: usize, height: usize, channels: usize) {
    assert_eq!((image.width, image.height, image.channels), (width, height, channels));
    assert_eq!(image.pixels.len(), width * height * channels);
}

/// Compares a region with what the whole has there, alone and in its place.
fn region(
    header: &Header<'_>,
    whole: &oculist_jpeg::Result<Image>,
    reduction: usize,
    below: &mut impl FnMut(usize) -> usize,
) {
    let (width, height) = (header.width().div_ceil(reduction), header.height().div_ceil(reduction));
    let (x, y) = (below(width), below(height));
    let region = Region { x, y, width: 1 + below(width - x), height: 1 + below(height - y) };
    let request = Request::whole().reduced(reduction).of(region);
    let (alone, placed) = (header.decode(&request), header.decode(&request.in_place()));
    let Ok(whole) = whole else {
        // Damage behind the region is not looked at, but both look at the same.
        assert_eq!(alone.is_ok(), placed.is_ok(), "{request:?}");
        return;
    };
    let (alone, placed) = match (alone, placed) {
        (Ok(alone), Ok(placed)) => (alone, placed),
        (alone, placed) => panic!("the whole decodes, {request:?} does not: {alone:?}, {placed:?}"),
    };
    check_size(&alone, region.width, region.height, whole.channels);
    check_size(&placed, whole.width, whole.height, whole.channels);
    let stride = whole.width * whole.channels;
    let columns = x * whole.channels..(x + region.width) * whole.channels;
    for row in 0..whole.height {
        let (expected, found) =
            (&whole.pixels[row * stride..][..stride], &placed.pixels[row * stride..][..stride]);
        let inside = (y..y + region.height).contains(&row);
        if inside {
            let part = &alone.pixels[(row - y) * columns.len()..][..columns.len()];
            assert_eq!(part, &expected[columns.clone()], "row {row} of {request:?}");
            assert_eq!(part, &found[columns.clone()], "row {row} of {request:?} in place");
        }
        let outside = |at: usize| !inside || !columns.contains(&at);
        assert!(found.iter().enumerate().all(|(at, &v)| v == 0 || !outside(at)), "row {row} of {request:?}");
    }
}

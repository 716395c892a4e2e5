//! Regions are what one would cut from the whole.

use crate::damage::files;
use crate::family::layouts;
use oculist_jpeg::{Error, Header, Image, Region, Request};
use oculist_kernels::Isa;

/// The region's pixels of an image.
fn cut(image: &Image, region: Region) -> Image {
    let Region { x, y, width, height } = region;
    let rows = (y..y + height).flat_map(|y| {
        let start = (y * image.width + x) * image.channels;
        image.pixels[start..start + width * image.channels].iter().copied()
    });
    Image { width, height, channels: image.channels, pixels: rows.collect() }
}

/// The same image, black outside the region.
fn blackened(image: &Image, region: Region) -> Image {
    let mut black = image.clone();
    for (i, value) in black.pixels.iter_mut().enumerate() {
        let (x, y) = (i / image.channels % image.width, i / image.channels / image.width);
        if x < region.x || y < region.y || x >= region.x + region.width || y >= region.y + region.height {
            *value = 0;
        }
    }
    black
}

#[test]
fn a_region_is_cut_from_the_whole() {
    let mut draw = 1u64;
    let mut below = |n: usize| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) as usize % n
    };
    let layouts = layouts().into_iter().step_by(13).map(|(name, layout)| (name, layout.write()));
    for (name, bytes) in files().into_iter().chain(layouts) {
        let header = Header::parse(&bytes).unwrap();
        for reduction in [1, 2, 4, 8] {
            let request = Request::whole().reduced(reduction);
            let whole = header.decode(&request).unwrap();
            for case in 0..60 {
                let request = Request { isa: Isa::available()[case % Isa::available().len()], ..request };
                let (x, y) = (below(whole.width), below(whole.height));
                let (width, height) = (1 + below(whole.width - x), 1 + below(whole.height - y));
                let region = Region { x, y, width, height };
                let part = header.decode(&request.of(region)).unwrap();
                assert!(part == cut(&whole, region), "{name} / {reduction}: {region:?}");
                let placed = header.decode(&request.of(region).in_place()).unwrap();
                assert!(placed == blackened(&whole, region), "{name} / {reduction}: {region:?} in place");
                // The twin: a region that lies one pixel beside is told apart.
                if x > 0 && width * height > 30 {
                    assert!(part != cut(&whole, Region { x: x - 1, ..region }), "{name} {region:?}");
                }
            }
        }
    }
}

#[test]
fn regions_outside_and_other_reductions_are_refused() {
    let (_, bytes) = &files()[0];
    let header = Header::parse(bytes).unwrap();
    let (w, h) = (header.width(), header.height());
    for (x, y, width, height) in
        [(0, 0, 0, 1), (0, 0, w + 1, 1), (w, 0, 1, 1), (usize::MAX, 0, 2, 1), (0, h - 1, 1, 2)]
    {
        let region = Region { x, y, width, height };
        assert_eq!(header.decode(&Request::whole().of(region)), Err(Error::Region), "{region:?}");
    }
    for reduction in [0, 3, 16] {
        let request = Request::whole().reduced(reduction);
        assert_eq!(header.decode(&request), Err(Error::Reduction(reduction)));
    }
}

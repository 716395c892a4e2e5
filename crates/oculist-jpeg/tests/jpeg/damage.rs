//! Files that are cut, damaged or of another kind: errors, never a panic, and no memory for nothing.

use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use oculist_jpeg::{Error, Header, Request};

fn picture(width: usize, height: usize, channels: usize) -> Vec<u8> {
    let mut noise = 7u32;
    let values = (0..width * height * channels).map(|i| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (x, y, c) = (i / channels % width, i / channels / width, i % channels);
        let wave = (x as f32 / 7.0 + c as f32).sin() * 60.0 + (y as f32 / (5 + c) as f32).cos() * 50.0;
        (128.0 + wave + (noise >> 28) as f32) as u8
    });
    values.collect()
}

/// Files of every kind, with their names.
pub(crate) fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (sampling, factors) in [
        (SamplingFactor::F_1_1, "4:4:4"),
        (SamplingFactor::F_2_1, "4:2:2"),
        (SamplingFactor::F_1_2, "4:4:0"),
        (SamplingFactor::F_2_2, "4:2:0"),
    ] {
        for (width, height, restart) in [(67, 45, 0), (100, 83, 3), (3, 40, 1)] {
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, 91);
            encoder.set_sampling_factor(sampling);
            if restart > 0 {
                encoder.set_restart_interval(restart);
            }
            let pixels = picture(width, height, 3);
            encoder.encode(&pixels, width as u16, height as u16, ColorType::Rgb).unwrap();
            files.push((format!("{factors} {width}x{height} restart {restart}"), bytes));
        }
    }
    let mut bytes = Vec::new();
    Encoder::new(&mut bytes, 80).encode(&picture(75, 50, 1), 75, 50, ColorType::Luma).unwrap();
    files.push(("grey".into(), bytes));
    files
}

fn decode(bytes: &[u8]) -> oculist_jpeg::Result<oculist_jpeg::Image> {
    Header::parse(bytes)?.decode(&Request::whole())
}

#[test]
fn every_file_cut_short_is_an_error() {
    for (name, bytes) in files() {
        assert!(decode(&bytes).is_ok(), "{name}");
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end]).is_err(), "{name} cut to {end} of {}", bytes.len());
        }
    }
}

#[test]
fn a_scan_cut_short_is_an_error_although_the_end_marker_follows() {
    for (name, bytes) in files() {
        let start = bytes.len() - Header::parse(&bytes).unwrap().width();
        for end in (start..bytes.len() - 3).filter(|&end| bytes[end - 1] != 0xff) {
            let cut = [&bytes[..end], &[0xff, 0xd9]].concat();
            assert!(decode(&cut).is_err(), "{name} cut to {end} of {}", bytes.len());
        }
    }
}

#[test]
fn damage_is_an_error_or_an_image_but_never_a_panic() {
    let mut noise = 99u64;
    let mut below = |n: usize| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) as usize % n
    };
    let (mut errors, mut images) = (0, 0);
    for (name, bytes) in files() {
        let whole = decode(&bytes).unwrap();
        for case in 0..2500 {
            let mut bad = bytes.clone();
            for _ in 0..=below(4) {
                // Every second time in the headers, where damage does most.
                let at = if case % 2 == 0 { below(bad.len()) } else { below(bad.len().min(640)) };
                bad[at] = [0, 0xff, below(256) as u8, bad[at] ^ 1 << below(8)][below(4)];
            }
            if case % 5 == 0 {
                bad.truncate(below(bad.len()));
            }
            let reduction = [1, 2, 4, 8][below(4)];
            let decoded =
                Header::parse(&bad).and_then(|header| header.decode(&Request::whole().reduced(reduction)));
            match decoded {
                Ok(image) => {
                    images += 1;
                    // A unit of 16x16 pixels needs at least 12 bits.
                    assert!(image.pixels.len() <= 512 * bad.len() + 4 * whole.pixels.len(), "{name}");
                }
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 5000 && images > 1000, "{errors} errors and {images} images");
}

#[test]
fn absurd_sizes_are_refused_before_memory_is_taken() {
    for (name, mut bytes) in files() {
        let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
        let err = decode(&bytes).unwrap_err();
        let expected =
            [Error::Truncated("its scan can be complete"), Error::Truncated("the last restart marker")];
        assert!(expected.contains(&err), "{name}: {err}");
    }
}

#[test]
fn what_is_not_decoded_here_is_told() {
    let (_, bytes) = &files()[3];
    let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    // Places behind the marker: its kind, depth, height, width, components, factors of luma and of the first chroma.
    let (kind, depth, height, count, luma, chroma) = (1, 4, 5, 9, 11, 14);
    let cases: [(&[(usize, u8)], Error); 13] = [
        (&[(kind, 0xc3)], Error::Unsupported("lossless coding")),
        (&[(kind, 0xc5)], Error::Unsupported("hierarchical coding")),
        (&[(kind, 0xc9)], Error::Unsupported("arithmetic coding")),
        (&[(kind, 0xca)], Error::Unsupported("arithmetic coding")),
        (&[(kind, 0xcb)], Error::Unsupported("lossless arithmetic coding")),
        (&[(depth, 12)], Error::Unsupported("samples of 12 bits")),
        (&[(depth, 16)], Error::Unsupported("samples of neither 8 nor 12 bits")),
        (&[(height, 0), (height + 1, 0)], Error::Unsupported("a number of lines after the scan")),
        (&[(count, 2)], Error::Unsupported("a number of components other than 1, 3 and 4")),
        (&[(luma, 0x32), (chroma, 0x21)], Error::Unsupported("sampling factors without a whole ratio")),
        // A sequential file that calls itself progressive has a scan of all coefficients at once.
        (&[(kind, 0xc2)], Error::Corrupt("a progressive scan of an impossible band")),
        (&[(luma, 0x51)], Error::Corrupt("a component outside its ranges")),
        (&[(luma, 0x42), (chroma, 0x21)], Error::Corrupt("units of more than 10 blocks")),
    ];
    for (changes, expected) in cases {
        let mut changed = bytes.clone();
        for &(place, value) in changes {
            changed[frame + place] = value;
        }
        assert_eq!(Header::parse(&changed).map(|_| ()), Err(expected), "{changes:?}");
    }
    assert_eq!(Header::parse(b"GIF89a").err(), Some(Error::Corrupt("no start of image")));
}

/// Every layout's file, small.
fn layouts() -> impl Iterator<Item = (String, Vec<u8>)> {
    crate::family::layouts().into_iter().map(|(name, layout)| (name, layout.write()))
}

#[test]
fn every_layout_cut_within_a_scan_is_truncated_although_the_end_marker_follows() {
    let mut told = 0;
    for (i, (name, bytes)) in layouts().enumerate() {
        let scans = scans(&bytes);
        assert!(decode(&bytes).is_ok(), "{name}");
        // A few places of each scan; the last byte may hold nothing but the bits that fill it.
        for (j, &(start, end)) in scans.iter().enumerate() {
            for k in 0..3 {
                let cut = start + (end - start) * (7 * i + 5 * j + 3 * k) % 11 / 11;
                let cut = cut.min(end.saturating_sub(3)).max(start);
                let inside_marker = bytes[cut - 1] == 0xff;
                if cut + 2 >= end || inside_marker {
                    continue;
                }
                let cut = [&bytes[..cut], &[0xff, 0xd9]].concat();
                let err = decode(&cut).expect_err(&name);
                assert!(matches!(err, Error::Truncated(_)), "{name} scan {j}: {err:?}");
                told += 1;
            }
        }
    }
    assert!(told > 1000, "{told}");
}

/// Where the entropy-coded data of each scan begin and end.
fn scans(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut scans, mut at) = (Vec::new(), 2);
    loop {
        while bytes[at] != 0xff || matches!(bytes[at + 1], 0 | 0xff) {
            at += 1;
        }
        let marker = bytes[at + 1];
        if marker == 0xd9 {
            return scans;
        }
        at += 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
        if marker == 0xda {
            let start = at;
            while bytes[at] != 0xff || matches!(bytes[at + 1], 0 | 0xff | 0xd0..=0xd7) {
                at += 1;
            }
            scans.push((start, at));
        }
    }
}

#[test]
fn components_without_a_scan_are_missing() {
    for (name, layout) in crate::family::layouts() {
        let means = |scan: &crate::writer::Scan| scan.band.0 == 0 && scan.bits.0 == 0;
        let count = layout.scans.iter().filter(|scan| means(scan)).count();
        if count < 2 {
            continue;
        }
        for left_out in 0..count {
            let mut less = layout.clone();
            let place = (0..less.scans.len()).filter(|&i| means(&less.scans[i])).nth(left_out).unwrap();
            let components = less.scans.remove(place).components;
            less.scans.retain(|scan| !scan.components.iter().any(|i| components.contains(i)));
            assert_eq!(
                decode(&less.write()),
                Err(Error::Truncated("the scans of all components")),
                "{name} without {left_out}"
            );
        }
    }
}

#[test]
fn scans_out_of_order_and_too_many_are_refused() {
    let (name, layout) = crate::family::layouts()
        .into_iter()
        .find(|(_, layout)| layout.scans.iter().any(|scan| scan.bits == (1, 0)))
        .unwrap();
    let refused = |change: &dyn Fn(&mut crate::writer::Layout)| {
        let mut layout = layout.clone();
        change(&mut layout);
        decode(&layout.write()).expect_err(&name)
    };
    let order = Error::Corrupt("scans that send bits twice or out of order");
    assert_eq!(refused(&|l| l.scans.insert(1, l.scans[0].clone())), order);
    assert_eq!(refused(&|l| l.scans.push(l.scans[l.scans.len() - 1].clone())), order);
    let before = refused(&|l| l.scans.rotate_left(1));
    assert!(matches!(before, Error::Corrupt(_)), "{before}");
}

#[test]
fn files_of_very_many_scans_are_refused() {
    let (_, mut layout) =
        crate::family::layouts().into_iter().find(|(name, _)| name.starts_with("grey bits")).unwrap();
    let scan = |k: usize, bits: (u8, u8)| crate::writer::Scan { components: vec![0], band: (k, k), bits };
    // Each coefficient alone, bit by bit.
    let all = (1..64)
        .flat_map(|k| (0..=9u8).rev().map(move |bit| scan(k, (if bit == 9 { 0 } else { bit + 1 }, bit))));
    let all: Vec<_> = std::iter::once(scan(0, (0, 0))).chain(all).collect();
    assert!(all.len() > 500);
    layout.scans = all[..500].to_vec();
    assert!(decode(&layout.write()).is_ok());
    layout.scans = all[..501].to_vec();
    let many =
        Error::Unsupported("more scans than the size of the image allows (500, and 10^10 pixels in all)");
    assert_eq!(decode(&layout.write()), Err(many));
}

#[test]
fn damaged_layouts_are_errors_or_images_but_never_a_panic() {
    let mut noise = 5u64;
    let mut below = |n: usize| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) as usize % n
    };
    let (mut errors, mut images) = (0, 0);
    for (_, bytes) in layouts() {
        for case in 0..40 {
            let mut bad = bytes.clone();
            for _ in 0..=below(3) {
                let at = below(bad.len());
                bad[at] = [0, 0xff, below(256) as u8, bad[at] ^ 1 << below(8)][below(4)];
            }
            if case % 5 == 0 {
                bad.truncate(below(bad.len()));
            }
            let request = Request::whole().reduced([1, 2, 4, 8][below(4)]);
            match Header::parse(&bad).and_then(|header| header.decode(&request)) {
                Ok(_) => images += 1,
                Err(_) => errors += 1,
            }
        }
    }
    assert!(errors > 3000 && images > 1000, "{errors} errors and {images} images");
}

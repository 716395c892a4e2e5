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
        let expected = [
            Error::Truncated("its scan can be complete"),
            Error::Corrupt("a wrong number of restart markers"),
        ];
        assert!(expected.contains(&err), "{name}: {err}");
    }
}

#[test]
fn what_is_not_decoded_here_is_told() {
    let (_, bytes) = &files()[3];
    let at = |marker: u8| bytes.windows(2).position(|pair| pair == [0xff, marker]).unwrap();
    let frame = at(0xc0);
    let changed = |place: usize, value: u8| {
        let mut bytes = bytes.clone();
        bytes[place] = value;
        Header::parse(&bytes).map(|_| ()).unwrap_err()
    };
    for (place, value) in [
        (frame + 1, 0xc2),  // progressive
        (frame + 1, 0xc9),  // arithmetic
        (frame + 4, 12),    // 12 bits
        (frame + 6, 0),     // a height of 0 is told later
        (frame + 9, 4),     // four components
        (frame + 11, 0x41), // 4:1:1
        (frame + 14, 0x21), // chroma as fine as luma
    ] {
        let mut place = place;
        if value == 0 {
            place = frame + 5;
            let mut bytes = bytes.clone();
            bytes[place..place + 2].fill(0);
            assert!(matches!(Header::parse(&bytes), Err(Error::Unsupported(_))), "height 0");
            continue;
        }
        let err = changed(place, value);
        assert!(matches!(err, Error::Unsupported(_)), "{value:#x} at {place}: {err}");
    }
    // Colours: Adobe's marker says that there is no transform.
    let adobe = [&bytes[..2], b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\0", &bytes[2..]].concat();
    assert!(matches!(Header::parse(&adobe), Err(Error::Unsupported(_))));
    let mut ycc = adobe.clone();
    ycc[17] = 1;
    assert!(Header::parse(&ycc).is_ok());
    assert_eq!(Header::parse(b"GIF89a").err(), Some(Error::Corrupt("no start of image")));
}

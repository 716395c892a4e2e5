//! Memory: what a file asks for beside its pixels is not given.
//!
//! Each file is decoded by a process of its own that may take no more than [`MEMORY`]; one that takes more ends.

use oculist_data::{DEFAULT_MAX_PIXELS, DecodeError, decode_image, read_header};
use std::io::Write;
use std::process::Command;

/// Address space of the process, in KB. Code and threads take a part of it.
const MEMORY: u64 = 400_000;

/// What the files below inflate to.
const INFLATED: usize = 500_000_000;

/// Set for the process that decodes.
const FILE: &str = "OCULIST_TEST_DECODE";

fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(&kind);
    crc.update(data);
    [&(data.len() as u32).to_be_bytes()[..], &kind, data, &crc.sum().to_be_bytes()].concat()
}

fn deflate(write: impl Fn(&mut dyn Write)) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    write(&mut encoder);
    encoder.finish().unwrap()
}

/// A grey PNG of 4x4 pixels with further chunks before its pixels.
fn png(size: (u32, u32), interlaced: u8, more: &[Vec<u8>]) -> Vec<u8> {
    let (width, height) = size;
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 0, 0, 0, interlaced]].concat();
    let pixels = deflate(|out| (0..4).for_each(|y| out.write_all(&[0, 10, 20, 30, y]).unwrap()));
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    file.extend(chunk(*b"IHDR", &header));
    file.extend(more.concat());
    file.extend(chunk(*b"IDAT", &pixels));
    file.extend(chunk(*b"IEND", &[]));
    file
}

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let zeros = deflate(|out| {
        let part = vec![0; 1 << 20];
        (0..INFLATED >> 20).for_each(|_| out.write_all(&part).unwrap());
    });
    let with = |head: &[u8]| [head, &zeros].concat();
    let profile = chunk(*b"iCCP", &with(b"name\0\0"));
    let texts = [
        chunk(*b"zTXt", &with(b"Comment\0\0")),
        chunk(*b"zTXt", &with(b"Raw profile type exif\0\0")),
        chunk(*b"iTXt", &with(b"XML:com.adobe.xmp\0\x01\0\0\0")),
        chunk(*b"iTXt", &with(b"Title\0\x01\0\0\0")),
    ];
    vec![
        ("iCCP", png((4, 4), 0, std::slice::from_ref(&profile))),
        ("texts", png((4, 4), 0, &texts)),
        ("all", png((4, 4), 0, &[vec![profile], texts.to_vec()].concat())),
    ]
}

#[test]
fn what_inflates_beside_the_pixels_takes_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in bombs() {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(decodes(path.to_str().unwrap()), Some(true), "{name}");
    }
    // The twin: a process that takes as much as one of the files asks for does not get it.
    assert_eq!(decodes("hungry"), Some(false));
}

/// Decodes in a process with bounded memory; None where memory cannot be bounded.
fn decodes(file: &str) -> Option<bool> {
    let test = std::env::current_exe().unwrap();
    let script =
        format!("ulimit -v {MEMORY} && exec \"$0\" --exact image_limits::decode_a_file --test-threads 1");
    let output = Command::new("sh").args(["-c", &script]).arg(test).env(FILE, file).output().ok()?;
    Some(output.status.success())
}

/// The part of the test above that runs in the other process; without a file there is nothing to do.
#[test]
fn decode_a_file() {
    match std::env::var(FILE) {
        Err(_) => {}
        Ok(name) if name == "hungry" => {
            let bytes = vec![1u8; INFLATED];
            assert!(bytes.iter().all(|&byte| byte == 1));
        }
        Ok(path) => {
            let bytes = std::fs::read(path).unwrap();
            let header = read_header(&bytes, DEFAULT_MAX_PIXELS).unwrap();
            assert_eq!((header.width, header.height), (4, 4));
            let image = decode_image(&bytes, DEFAULT_MAX_PIXELS).unwrap();
            assert_eq!(image.pixels()[..8], [10, 20, 30, 0, 10, 20, 30, 1]);
        }
    }
}

#[test]
fn huge_sizes_are_refused_by_the_declared_size() {
    let side = 200_000u32;
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    let tags =
        [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1), (278, side), (279, 9)];
    tiff.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        tiff.extend([&(tag as u16).to_le_bytes()[..], &[4, 0, 1, 0, 0, 0], &value.to_le_bytes()].concat());
    }
    tiff.extend([0; 4]);
    let webp = |chunks: &[u8]| {
        let length = (chunks.len() as u32 + 4).to_le_bytes();
        [b"RIFF", &length[..], b"WEBP", chunks].concat()
    };
    let large = b"VP8X\x0a\0\0\0\0\0\0\0\xff\xff\x0f\xff\x0f\0";
    let small = b"VP8X\x0a\0\0\0\0\0\0\0\x03\0\0\x03\0\0";
    let lossy = b"VP8 \x0a\0\0\0\x10\x02\0\x9d\x01\x2a\xff\x3f\xff\x3f";
    let lossless = b"VP8L\x06\0\0\0\x2f\xff\xff\xff\x0f\0";
    // Progressive, with a scan of its means.
    let mut jpeg = b"\xff\xd8\xff\xdb\0\x43\0".to_vec();
    jpeg.extend([1; 64]);
    jpeg.extend(
        b"\xff\xc2\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\0\0\x55\xff\xd9",
    );
    for (name, bytes) in [
        ("PNG", png((side, side), 0, &[])),
        ("interlaced PNG", png((side, side), 1, &[])),
        ("TIFF", tiff),
        ("JPEG", jpeg.clone()),
        ("WebP", webp(large)),
        ("lossy WebP on a small canvas", webp(&[&small[..], lossy].concat())),
        ("lossless WebP on a small canvas", webp(&[&small[..], lossless].concat())),
    ] {
        let err = decode_image(&bytes, DEFAULT_MAX_PIXELS).unwrap_err();
        assert!(matches!(err, DecodeError::TooLarge { .. }), "{name}: {err}");
        let err = read_header(&bytes, DEFAULT_MAX_PIXELS).unwrap_err();
        assert!(matches!(err, DecodeError::TooLarge { .. }), "{name}: {err}");
    }
    // Within a larger limit too: the data cannot be as many blocks.
    let err = decode_image(&jpeg, u64::MAX).unwrap_err();
    assert!(matches!(err, DecodeError::Truncated { format: "JPEG", .. }), "{err}");
}

#[test]
fn huge_counts_of_tags_are_errors() {
    for count in [1u32 << 20, u32::MAX] {
        let mut tiff = b"II*\0\x08\0\0\0".to_vec();
        let tags = [
            (256, 1, 4),
            (257, 1, 4),
            (258, 1, 8),
            (259, 1, 1),
            (262, 1, 1),
            (273, count, 8),
            (279, count, 8),
        ];
        tiff.extend((tags.len() as u16).to_le_bytes());
        for (tag, count, value) in tags {
            let value: u32 = value;
            tiff.extend([&(tag as u16).to_le_bytes()[..], &[4, 0]].concat());
            tiff.extend([count.to_le_bytes(), value.to_le_bytes()].concat());
        }
        tiff.extend([0; 4]);
        let err = decode_image(&tiff, DEFAULT_MAX_PIXELS).unwrap_err();
        assert!(matches!(err, DecodeError::Truncated { .. } | DecodeError::Broken { .. }), "{err}");
    }
}

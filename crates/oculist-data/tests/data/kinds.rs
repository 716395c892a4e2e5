//! What is wrong with a file is told in three kinds: it ends too early, contradicts itself, or is not supported.

use oculist_data::{DEFAULT_MAX_PIXELS, DecodeError, decode_image, fixture, read_header};

#[derive(Debug, PartialEq)]
enum Kind {
    Fine,
    Truncated,
    Broken,
    Unsupported,
}

fn kind(bytes: &[u8]) -> (Kind, String) {
    match decode_image(bytes, DEFAULT_MAX_PIXELS) {
        Ok(_) => (Kind::Fine, String::new()),
        Err(err) => {
            let kind = match err {
                DecodeError::Truncated { .. } => Kind::Truncated,
                DecodeError::Broken { .. } => Kind::Broken,
                DecodeError::Unsupported { .. } => Kind::Unsupported,
                _ => panic!("{err}"),
            };
            let text = err.to_string();
            let expected = match kind {
                Kind::Truncated => "truncated ",
                Kind::Broken => "broken ",
                _ => "not supported ",
            };
            assert!(text.starts_with(expected), "{text}");
            (kind, text)
        }
    }
}

/// A TIFF of 4x4 pixels in one strip of zeros.
fn tiff(bits: u32, samples: u32, compression: u32, photometric: u32, format: u32, planar: u32) -> Vec<u8> {
    let planes = if planar == 2 { samples } else { 1 };
    let strip = 16 * bits / 8 * samples / planes;
    let tags = [
        (256, 1, 4),
        (257, 1, 4),
        (258, samples, bits),
        (259, 1, compression),
        (262, 1, photometric),
        (273, planes, 0),
        (277, 1, samples),
        (278, 1, 4),
        (279, planes, strip),
        (284, 1, planar),
        (339, samples, format),
    ];
    let mut file = b"II*\0\x08\0\0\0".to_vec();
    let values = 8 + 2 + 12 * tags.len() as u32 + 4;
    let pixels = values + 16 * tags.len() as u32;
    let mut behind = Vec::new();
    file.extend((tags.len() as u16).to_le_bytes());
    for (i, &(tag, count, value)) in tags.iter().enumerate() {
        let numbers = (0..count).map(|plane| if tag == 273 { pixels + plane * strip } else { value });
        let mut bytes: Vec<u8> = numbers.flat_map(u32::to_le_bytes).collect();
        file.extend([&(tag as u16).to_le_bytes()[..], &[4, 0], &count.to_le_bytes()].concat());
        if count == 1 {
            file.extend(&bytes);
        } else {
            file.extend((values + 16 * i as u32).to_le_bytes());
        }
        bytes.resize(16, 0);
        behind.extend(bytes);
    }
    file.extend([0; 4]);
    file.extend(behind);
    file.resize(file.len() + (strip * planes) as usize, 0);
    file
}

#[test]
fn sound_files_of_other_kinds_are_not_supported() {
    assert_eq!(kind(&tiff(8, 1, 1, 1, 1, 1)).0, Kind::Fine);
    assert_eq!(kind(&tiff(8, 3, 1, 2, 1, 2)).0, Kind::Fine);
    assert_eq!(kind(&tiff(8, 4, 1, 5, 1, 1)).0, Kind::Fine);
    for (name, file) in [
        ("doubles", tiff(64, 1, 1, 1, 3, 1)),
        ("signed", tiff(16, 1, 1, 1, 2, 1)),
        ("JPEG 2000", tiff(8, 1, 34712, 1, 1, 1)),
        ("JBIG", tiff(8, 1, 34661, 1, 1, 1)),
        ("planar CMYK", tiff(8, 4, 1, 5, 1, 2)),
        ("CIE L*a*b*", tiff(8, 3, 1, 8, 1, 1)),
    ] {
        let (found, text) = kind(&file);
        assert_eq!(found, Kind::Unsupported, "{name}: {text}");
    }
}

#[test]
fn jpeg_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("whole.jpg");
    fixture::write_image(&path, &fixture::class_image(1, 40, 3, 1)).unwrap();
    let whole = std::fs::read(path).unwrap();
    assert_eq!(kind(&whole).0, Kind::Fine);
    let frame = whole.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    let changed = |at: usize, value: u8| {
        let mut bytes = whole.clone();
        bytes[at] = value;
        bytes
    };
    for (at, value, what) in [
        (frame + 1, 0xc9, "arithmetic coding"),
        (frame + 1, 0xc3, "lossless coding"),
        (frame + 4, 12, "samples of 12 bits"),
    ] {
        let bytes = changed(at, value);
        assert_eq!(kind(&bytes), (Kind::Unsupported, format!("not supported JPEG image: {what}")));
        assert_eq!(
            read_header(&bytes, 1 << 20).unwrap_err().to_string(),
            format!("not supported JPEG image: {what}")
        );
    }
    for part in [3, 5, 8, 9] {
        let cut = &whole[..whole.len() * part / 10];
        assert_eq!(kind(cut).0, Kind::Truncated, "{part}");
        let ended = [cut, &[0xff, 0xd9]].concat();
        let found = kind(&ended);
        // A cut within the tables leaves no scan.
        let allowed = if part > 5 { &[Kind::Truncated][..] } else { &[Kind::Truncated, Kind::Broken] };
        assert!(allowed.contains(&found.0), "{part} with an end: {found:?}");
    }
    assert_eq!(kind(&changed(frame + 11, 0x00)).0, Kind::Broken);
}

#[test]
fn other_formats_are_named() {
    for (bytes, name) in [
        (&b"\0\0\0\x1cftypheic\0\0\0\0"[..], "HEIF"),
        (b"\0\0\0\x1cftypavif\0\0\0\0", "AVIF"),
        (b"\xff\x0a\x11\x22", "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n\0\0", "JPEG 2000"),
    ] {
        let text = decode_image(bytes, DEFAULT_MAX_PIXELS).unwrap_err().to_string();
        assert!(text.starts_with(&format!("not supported: a {name} image (expected JPEG, PNG")), "{text}");
    }
    let err = decode_image(b"\0\0\0\x1cftypmp42", DEFAULT_MAX_PIXELS).unwrap_err();
    assert!(matches!(err, DecodeError::NotAnImage), "{err}");
}

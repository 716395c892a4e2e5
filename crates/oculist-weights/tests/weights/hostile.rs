//! Files made to do harm: each is an error that says what is wrong, in little time and memory.

use std::io::Write as _;

use oculist_weights::{WeightsError, read_bytes};

use super::pickles::{dict, int, legacy, read_object, storage, tensor, text, tuple, two};
use super::{error_of, file};

const FILES: [&str; 9] = [
    "plain.pth",
    "plain_legacy.pth",
    "deflated.pth",
    "nested.pth",
    "nested_legacy.pth",
    "views.pth",
    "types_legacy.pth",
    "types.safetensors",
    "arrays.pth",
];

#[test]
fn calls_of_programs_are_refused_by_their_names() {
    for (call, name) in [
        (&b"cposix\nsystem\n(X\x02\x00\x00\x00lstR"[..], "posix.system"),
        (b"cos\nsystem\n(X\x02\x00\x00\x00lstR", "os.system"),
        (b"cbuiltins\neval\n(X\x01\x00\x00\x001tR", "builtins.eval"),
        (b"c__builtin__\nexec\n(X\x01\x00\x00\x001tR", "__builtin__.exec"),
        (b"\x8c\x08builtins\x8c\x07compile\x93", "builtins.compile"),
        (b"(X\x02\x00\x00\x00lsisubprocess\nPopen\n", "subprocess.Popen"),
        (b"(cnt\nsystem\nX\x02\x00\x00\x00lso", "nt.system"),
        (b"crunpy\n_run_code\n", "runpy._run_code"),
        (b"ctorch.hub\nload\n", "torch.hub.load"),
    ] {
        // Alone, beside good weights, and as the value of one.
        for object in [
            call.to_vec(),
            dict(&[(text("a"), two(0)), (text("args"), call.to_vec())]),
            dict(&[(text("state_dict"), dict(&[(text("a"), two(0)), (text("b"), call.to_vec())]))]),
        ] {
            let error = read_object(&object).unwrap_err();
            let WeightsError::File { problem, .. } = &error else { panic!("{error}") };
            let WeightsError::Refused { name: found } = &**problem else { panic!("{error}") };
            assert_eq!(found, name);
            assert!(error.to_string().contains("nothing was called"), "{error}");
        }
    }
}

#[test]
fn a_file_cut_short_at_any_byte_is_an_error() {
    for name in FILES {
        let bytes = std::fs::read(file(name)).unwrap();
        for length in 0..bytes.len() {
            let error =
                read_bytes(&bytes[..length], name, None).expect_err(&format!("{name} cut at {length}"));
            assert!(error.to_string().starts_with(&format!("`{name}`: ")), "{error}");
        }
    }
}

#[test]
fn a_file_with_any_byte_changed_does_no_harm() {
    for name in FILES {
        let bytes = std::fs::read(file(name)).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= [0x01, 0x80, 0xff][at % 3];
            // Whether it is an error depends on the byte.
            drop(read_bytes(&changed, name, None));
        }
    }
}

#[test]
fn nesting_has_no_depth_that_overflows() {
    const DEPTH: usize = 1_000_000;
    let a = [text("a"), two(0)].concat();
    for deep in [
        [&b"]".repeat(DEPTH)[..], &b"a".repeat(DEPTH - 1)].concat(),
        [&b"N"[..], &b"\x85".repeat(DEPTH)].concat(),
        [&b"(".repeat(DEPTH)[..], &b"t".repeat(DEPTH)].concat(),
        [&b"cmy\nf\n)R".to_vec()[..], &b"cmy\nf\n)Rb".repeat(100_000)].concat(),
        // A dictionary of dictionaries under a known key.
        [
            &b"}X\x05\x00\x00\x00modelq\x00".to_vec()[..],
            &b"}h\x00".repeat(200_000),
            b"N",
            &b"s".repeat(200_001),
        ]
        .concat(),
    ] {
        let object = [b"}(", &a[..], &text("deep"), &deep, b"u"].concat();
        assert_eq!(read_object(&object).unwrap().skipped, ["deep"]);
        assert!(error_of(read_object(&deep)).contains("expected a dictionary from names"));
    }
}

#[test]
fn an_object_that_holds_itself_is_read_once() {
    let object = [&b"}q\x00("[..], &text("model"), b"h\x00", &text("net"), b"h\x00u"].concat();
    assert!(error_of(read_object(&object)).contains("`model`, `net`"));
    let object = [&b"}q\x00("[..], &text("model"), b"h\x00", &text("a"), &two(0), b"u"].concat();
    assert_eq!(read_object(&object).unwrap().skipped, ["model"]);
}

#[test]
fn values_that_repeat_cost_their_numbers_only() {
    // Each list holds the one before twice: 2^60 values if they were copied.
    let mut object = b"]q\x00".to_vec();
    for _ in 0..60 {
        object.extend(b"0](h\x00h\x00eq\x00");
    }
    let good = dict(&[(text("a"), two(0)), (text("b"), object)]);
    assert_eq!(read_object(&good).unwrap().skipped, ["b"]);
    // A long name for each of many entries, by reference.
    let long = [text(&"x".repeat(100_000)), b"q\x00".to_vec()].concat();
    let object = [&b"}("[..], &long, &two(0), b"q\x01", &b"h\x00h\x01".repeat(200_000), b"u"].concat();
    assert_eq!(read_object(&object).unwrap().tensors.len(), 1);
    // A list of pairs that becomes a dictionary again and again.
    let list = [&b"]("[..], &b"K\x01K\x02\x86".repeat(10_000), b"e\x85q\x02"].concat();
    let object = [&b"ccollections\nOrderedDict\nq\x03"[..], &list, &b"0h\x03h\x02R".repeat(10_000)].concat();
    assert!(error_of(read_object(&object)).contains("dictionaries are made from more than"));
}

#[test]
fn stacks_memories_and_values_are_bounded() {
    const MANY: usize = (1 << 22) + 2;
    for (bytes, word) in [
        ([&b"N"[..], &b"2".repeat(MANY)].concat(), "values on the stack"),
        (b"(".repeat(MANY), "open marks"),
        (b"N0".repeat(MANY), "values"),
        ([&b"N"[..], &b"\x94".repeat(MANY)].concat(), "memorises"),
    ] {
        let text = error_of(read_object(&bytes));
        assert!(text.contains(word) && text.contains("more than 4194304"), "{text}");
    }
}

#[test]
fn numbers_beyond_the_file_take_no_memory() {
    for (bytes, word) in [
        (&b"\x8b\xff\xff\xff\x7f\x01"[..], "expected 2147483647 more bytes"),
        (b"\x8b\xff\xff\xff\xff\x01", "expected 4294967295 more bytes"),
        (b"X\xff\xff\xff\xffa", "expected 4294967295 more bytes"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\xffa", "expected 18446744073709551615 more bytes"),
        (b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7fa", "more bytes"),
        (b"\x96\xff\xff\xff\xff\xff\xff\xff\x7fa", "more bytes"),
        (b"j\xff\xff\xff\xff", "refers to value 4294967295"),
        (b"g99999999999999999999\n", "number of a memorised value"),
        (b"\x97", "out-of-band"),
        (b"\x82\x01", "extension registry"),
        (b"P7\n", "protocol 0"),
        (b"\x80\x09", "protocol up to 5, found 9"),
        (b"\xfe", "found the byte 0xfe"),
        (b"t", "expected a mark"),
        (b"(0t", "expected a mark"),
        (b"(a", "expected a value on the stack"),
        (b"}(K\x01u", "a key without value"),
        (b"Nq\x00NNs", "expected a dictionary"),
    ] {
        let text = error_of(read_object(bytes));
        assert!(text.contains(word), "{}: {text}", bytes.escape_ascii());
    }
    // A long of a megabyte is a number like any other; so is its text.
    let long = [&b"\x8b\x00\x00\x10\x00"[..], &vec![7; 1 << 20]].concat();
    let digits = [&b"L"[..], &b"9".repeat(1 << 20), b"L\n"].concat();
    let weights = read_object(&dict(&[(text("a"), two(0)), (text("b"), long), (text("c"), digits)])).unwrap();
    assert_eq!(weights.skipped, ["b", "c"]);
}

#[test]
fn tensors_that_repeat_elements_are_bounded_by_the_file() {
    let huge = 1_000_000_000_000;
    for (shape, strides, offset, word) in [
        (&[huge][..], &[0][..], 0, "4 times the file's size"),
        (&[1_000_000, 1_000_000, 1_000_000, 1_000_000], &[0, 0, 0, 0], 0, "beyond counting"),
        (&[i64::MAX, 2], &[0, 0], 0, "4 times the file's size"),
        (&[2], &[i64::MAX], 0, "needs 9223372036854775808 elements"),
        (&[4], &[i64::MAX], 0, "beyond counting"),
        (&[1], &[1], i64::MAX, "needs 9223372036854775808 elements"),
        (&[7], &[1], 0, "needs 7 elements of the storage, which has 6"),
        (&[-1], &[1], 0, "expected a size"),
        (&[2], &[-1], 1, "expected strides"),
        (&[2], &[1], -1, "expected an offset from 0"),
        (&[2, 2], &[1], 0, "2 axes and 1 strides"),
        (&[1; 65], &[1; 65], 0, "expected a size as at most 64"),
    ] {
        let bad = tensor(storage("s", 6), offset, shape, strides);
        let text = error_of(read_object(&dict(&[(text("fc.weight"), bad)])));
        assert!(text.contains("tensor `fc.weight`") && text.contains(word), "{text}");
    }
    // No element at all needs none, wherever it would be.
    let empty = tensor(storage("s", 6), i64::MAX, &[0, i64::MAX], &[1, 1]);
    assert_eq!(read_object(&dict(&[(text("a"), empty)])).unwrap().tensors[0].1.shape()[0], 0);
    // Many tensors of the same elements.
    let floats = vec![1.0; 10_000];
    let items: Vec<_> =
        (0..20).map(|i| (text(&format!("t{i}")), tensor(storage("s", 10_000), 0, &[10_000], &[1]))).collect();
    let text = error_of(read_bytes(&legacy(&dict(&items), &[("s", &floats)]), "x", None));
    assert!(text.contains("4 times the file's size"), "{text}");
    assert!(read_bytes(&legacy(&dict(&items[..4]), &[("s", &floats)]), "x", None).is_ok());
}

#[test]
fn storages_must_be_what_the_pickle_says() {
    let a = |len| dict(&[(text("a"), tensor(storage("s", len), 0, &[2], &[1]))]);
    let text_of = |object: &[u8]| error_of(read_object(object));
    assert!(text_of(&a(7)).contains("expected 28 bytes in the storage `s`, found 24"));
    assert!(text_of(&a(i64::MAX)).contains("beyond counting"));
    assert!(text_of(&a(-1)).contains("expected a storage of a known type"), "{}", text_of(&a(-1)));
    let other = dict(&[(text("a"), two(0)), (text("b"), tensor(storage("t", 6), 0, &[2], &[1]))]);
    assert!(text_of(&other).contains("expected a storage `t` in the file, found none"));
    // The count before the elements.
    for count in [i64::MAX, -1, 7, i64::MIN] {
        let mut file = legacy(&a(6), &[("s", &[0.0; 6])]);
        let at = file.len() - 32;
        file[at..at + 8].copy_from_slice(&count.to_le_bytes());
        let text = error_of(read_bytes(&file, "x", None));
        assert!(text.contains(&format!("its storage `s` has {count} elements of 4 bytes")), "{text}");
    }
    let parts = [text("storage"), b"cmy\nStorage\n".to_vec(), text("s"), text("cpu"), int(6)];
    let odd = [tuple(&parts), b"Q".to_vec()].concat();
    assert!(
        text_of(&dict(&[(text("a"), tensor(odd, 0, &[2], &[1]))]))
            .contains("expected a storage of a known type")
    );
}

#[test]
fn names_cannot_steer_a_terminal() {
    let text =
        error_of(read_object(&dict(&[(text("a\u{1b}[2J\nb"), tensor(storage("s", 7), 0, &[2], &[1]))])));
    assert!(text.contains(r"`a\u{1b}[2J\nb`"), "{text:?}");
    let text = error_of(read_object(b"cmy\x1b\nf\n)R"));
    assert!(text.contains(r"my\u{1b}.f"), "{text:?}");
}

/// An entry of an archive: name, method, bytes as they lie there, size when unpacked.
type Entry<'a> = (&'a str, u16, &'a [u8], u32);

fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, method, bytes, size) in entries {
        let mut common = vec![20, 0, 0, 0];
        common.extend(method.to_le_bytes());
        common.extend([0; 8]);
        common.extend((bytes.len() as u32).to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0; 2]);
        let place = file.len() as u32;
        file.extend([b"PK\x03\x04", &common[..], name.as_bytes(), bytes].concat());
        directory.extend(
            [b"PK\x01\x02\x14\x00", &common[..], &[0; 10], &place.to_le_bytes(), name.as_bytes()].concat(),
        );
    }
    let mut end = b"PK\x05\x06\0\0\0\0".to_vec();
    end.extend([(entries.len() as u16).to_le_bytes(), (entries.len() as u16).to_le_bytes()].concat());
    end.extend((directory.len() as u32).to_le_bytes());
    end.extend((file.len() as u32).to_le_bytes());
    end.extend([0; 2]);
    [file, directory, end].concat()
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn archives_that_unpack_to_more_than_weights_do_are_refused() {
    let floats = vec![0; 4 * 10_000_000];
    let packed = deflated(&floats);
    let pickle =
        [&b"\x80\x02"[..], &dict(&[(text("a"), tensor(storage("0", 10_000_000), 0, &[2], &[1]))]), b"."]
            .concat();
    let pickle = (("x/data.pkl"), 0, &pickle[..], pickle.len() as u32);
    let text_of = |entries: &[Entry<'_>]| error_of(read_bytes(&archive(entries), "x.pth", None));
    let text = text_of(&[pickle, ("x/data/0", 8, &packed, 40_000_000)]);
    assert!(text.contains("16 times its size"), "{text}");
    // A size that is not true, in both directions.
    let text = text_of(&[pickle, ("x/data/0", 8, &packed, 1000)]);
    assert!(text.contains("damaged: expected 1000 bytes"), "{text}");
    let text = text_of(&[pickle, ("x/data/0", 8, &deflated(&[0; 8]), 1000)]);
    assert!(text.contains("damaged: expected 1000 bytes"), "{text}");
    let text = text_of(&[pickle, ("x/data/0", 0, &[0; 8], 40)]);
    assert!(text.contains("stored as 8 bytes and has 40"), "{text}");
    let text = text_of(&[pickle, ("x/data/0", 12, &[0; 8], 8)]);
    assert!(text.contains("supported are stored and deflated"), "{text}");
    let text = text_of(&[pickle]);
    assert!(text.contains("expected an entry `x/data/0`"), "{text}");
    let text = text_of(&[pickle, ("y/data.pkl", 0, b"N.", 2)]);
    assert!(text.contains("expected one entry `NAME/data.pkl`, found 2"), "{text}");
    let text = text_of(&[("weights.npy", 0, b"N.", 2)]);
    assert!(text.contains("none of `torch.save`"), "{text}");
}

#[test]
fn headers_of_safetensors_are_checked() {
    let with = |header: &str, data: &[u8]| {
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
        read_bytes(&bytes, "x.safetensors", None)
    };
    let one = |shape: &str, end: u64| {
        format!(r#"{{"a":{{"dtype":"F32","shape":{shape},"data_offsets":[0,{end}]}}}}"#)
    };
    assert!(with(&one("[2]", 8), &[0; 8]).is_ok());
    for (header, data) in [
        (one("[2]", 8), &[0; 7][..]),
        (one("[2]", 8), &[0; 9]),
        (one("[3]", 8), &[0; 8]),
        (one("[18446744073709551615,2]", 8), &[0; 8]),
        (one("[2]", u64::MAX), &[0; 8]),
        (r#"{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}"#.into(), &[2]),
        ("{}".into(), &[]),
        ("{".into(), &[]),
    ] {
        let text = error_of(with(&header, data));
        assert!(text.starts_with("`x.safetensors`: "), "{text}");
    }
    let long = [&u64::MAX.to_le_bytes()[..], b"{}"].concat();
    assert!(error_of(read_bytes(&long, "x", None)).contains("safetensors"));
}

//! Pickles made by hand, as old and other programs write them; builders of them for other tests.

use oculist_graph::TensorData;
use oculist_weights::{Weights, WeightsError, read_bytes};

use super::error_of;

/// `BINUNICODE`.
pub(super) fn text(text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap();
    [b"X", &length.to_le_bytes()[..], text.as_bytes()].concat()
}

/// An integer of 64 bits as `LONG1`.
pub(super) fn int(i: i64) -> Vec<u8> {
    [b"\x8a\x08", &i.to_le_bytes()[..]].concat()
}

pub(super) fn tuple(parts: &[Vec<u8>]) -> Vec<u8> {
    [b"(", &parts.concat()[..], b"t"].concat()
}

fn ints(numbers: &[i64]) -> Vec<u8> {
    tuple(&numbers.iter().map(|&i| int(i)).collect::<Vec<_>>())
}

/// A storage of `len` floats under a key.
pub(super) fn storage(key: &str, len: i64) -> Vec<u8> {
    let parts = [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(key), text("cpu"), int(len)];
    [tuple(&parts), b"Q".to_vec()].concat()
}

/// A tensor over a storage.
pub(super) fn tensor(storage: Vec<u8>, offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let args = tuple(&[storage, int(offset), ints(shape), ints(strides)]);
    [b"ctorch._utils\n_rebuild_tensor\n".to_vec(), args, b"R".to_vec()].concat()
}

pub(super) fn dict(items: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = items.iter().flat_map(|(k, v)| [&k[..], &v[..]].concat()).collect();
    [b"}(", &items[..], b"u"].concat()
}

/// A file of the old format with an object and storages of floats.
pub(super) fn legacy(object: &[u8], storages: &[(&str, &[f32])]) -> Vec<u8> {
    let keys: Vec<u8> = storages.iter().flat_map(|(key, _)| [text(key), b"a".to_vec()].concat()).collect();
    let mut file = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.".to_vec();
    file.extend([b"\x80\x02", object, b".\x80\x02]", &keys[..], b"."].concat());
    for (_, floats) in storages {
        file.extend((floats.len() as u64).to_le_bytes());
        file.extend(floats.iter().flat_map(|x| x.to_le_bytes()));
    }
    file
}

/// Reads an object together with a storage `s` of the floats 0 to 5.
pub(super) fn read_object(object: &[u8]) -> Result<Weights, WeightsError> {
    read_bytes(&legacy(object, &[("s", &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])]), "hand.pth", None)
}

/// A vector of two floats from `first` on.
pub(super) fn two(first: i64) -> Vec<u8> {
    tensor(storage("s", 6), first, &[2], &[1])
}

fn floats(weights: &Weights, name: &str) -> Vec<f32> {
    match weights.get(name).unwrap().data() {
        TensorData::F32(v) => v.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_ordered_dict_of_python_2_is_a_list_of_pairs() {
    let pair = |key: &str, first| [b"](".to_vec(), text(key), two(first), b"e".to_vec()].concat();
    let list = [&b"]("[..], &pair("a", 0), &pair("b", 3), b"e"].concat();
    let object = [b"ccollections\nOrderedDict\n".to_vec(), tuple(&[list]), b"R".to_vec()].concat();
    let weights = read_object(&object).unwrap();
    assert_eq!((floats(&weights, "a"), floats(&weights, "b")), (vec![0.0, 1.0], vec![3.0, 4.0]));
}

#[test]
fn a_key_that_repeats_has_its_first_place_and_its_last_value() {
    let object = dict(&[(text("a"), two(0)), (text("b"), two(1)), (text("a"), two(4))]);
    let weights = read_object(&object).unwrap();
    let names: Vec<&str> = weights.tensors.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(floats(&weights, "a"), [4.0, 5.0]);
}

#[test]
fn a_storage_may_be_a_part_of_another() {
    let view = tuple(&[text("v"), int(2), int(3)]);
    let parts = [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text("s"), text("cpu"), int(6), view];
    let part = [tuple(&parts), b"Q".to_vec()].concat();
    let weights = read_object(&dict(&[(text("a"), tensor(part.clone(), 1, &[2], &[1]))])).unwrap();
    assert_eq!(floats(&weights, "a"), [3.0, 4.0]);
    let text = error_of(read_object(&dict(&[(text("a"), tensor(part, 2, &[2], &[1]))])));
    assert!(text.contains("needs 4 elements of the storage, which has 3"), "{text}");
}

#[test]
fn objects_of_unknown_classes_are_data_that_is_not_needed() {
    for other in [
        // By REDUCE, NEWOBJ, NEWOBJ_EX, OBJ, INST, with state and with items; a function as such.
        &b"cargparse\nNamespace\n)R}b"[..],
        b"cmy.config\nConfig\n)\x81}(K\x01K\x02ub",
        b"cmy.config\nConfig\n)}\x92",
        b"(cmy.config\nConfig\nK\x01o",
        b"(K\x01imy.config\nConfig\n",
        b"cmy.config\nConfig\n)R(K\x01K\x02u(K\x01K\x02eK\x03a",
        b"cfunctools\npartial\n(cmy\nf\ntR",
        b"ccopy_reg\n_reconstructor\n(cmy\nConfig\nc__builtin__\nobject\nNtR}b",
        b"c__builtin__\ngetattr\n(cmy\nOuter\nX\x05\x00\x00\x00Innert\x52)\x81}b",
        b"\x8c\x02my\x8c\x01f\x93",
        // Values of all protocols.
        b"I01\n",
        b"I12\n",
        b"L123456789012345678901234567890L\n",
        b"F1.5e3\n",
        b"S'a\\x00b'\n",
        b"V\\u00e9\n",
        b"T\x02\x00\x00\x00\xff\xfe",
        b"U\x01a",
        b"B\x01\x00\x00\x00a",
        b"\x8d\x01\x00\x00\x00\x00\x00\x00\x00a",
        b"\x96\x01\x00\x00\x00\x00\x00\x00\x00a",
        b"\x8f(K\x01K\x02\x90",
        b"(K\x01\x91",
        b"(K\x01K\x02d",
        b"(K\x01l",
        b"G\x3f\xf0\x00\x00\x00\x00\x00\x00",
        b"\x8b\x02\x00\x00\x00\x01\x02",
        b"K\x01p7\n0g7\n",
        b"K\x01q\x010h\x01",
        b"K\x01\x940K\x012\x86(1",
    ] {
        let object = dict(&[(text("other"), other.to_vec()), (text("a"), two(0))]);
        let weights = read_object(&object).unwrap_or_else(|e| panic!("{e}: {}", other.escape_ascii()));
        assert_eq!(weights.skipped, ["other"], "{}", other.escape_ascii());
        assert_eq!(floats(&weights, "a"), [0.0, 1.0]);
        // Where it stands in the place of the weights it is named.
        let text = error_of(read_object(other));
        assert!(text.contains("state dict"), "{text}");
    }
    let text = error_of(read_object(b"cmy.config\nConfig\n)R"));
    assert!(text.contains("found an object of `my.config.Config`"), "{text}");
}

#[test]
fn a_state_dict_is_found_by_its_key_and_not_twice() {
    let state = dict(&[(text("a"), two(0))]);
    let memorised = [&state[..], b"q\x05"].concat();
    // The same object under two keys is no choice.
    let object = dict(&[(text("model"), memorised), (text("ema"), b"h\x05".to_vec())]);
    assert_eq!(read_object(&object).unwrap().key.unwrap(), "model");
    // A known key is preferred to others, and to single tensors beside it.
    let object = dict(&[(text("best"), two(2)), (text("mine"), state.clone()), (text("net"), state.clone())]);
    assert_eq!(read_object(&object).unwrap().key.unwrap(), "net");
    // What belongs to training is not taken for weights.
    let object = dict(&[(text("optimizer"), state.clone()), (text("mine"), state.clone())]);
    assert_eq!(read_object(&object).unwrap().key.unwrap(), "mine");
    let object = dict(&[(text("mine"), state.clone()), (text("yours"), dict(&[(text("b"), two(0))]))]);
    assert!(error_of(read_object(&object)).contains("`mine`, `yours`; choose one"));
    // Twice the last part of a path.
    let inner = |first| dict(&[(text("net"), dict(&[(text("a"), two(first))]))]);
    let object = dict(&[(text("model"), inner(0)), (text("ema"), inner(2))]);
    let file = legacy(&object, &[("s", &[0.0; 6])]);
    let text = error_of(read_bytes(&file, "x", Some("net")));
    assert!(text.contains("`model.net`, `ema.net`"), "{text}");
    assert_eq!(read_bytes(&file, "x", Some("ema.net")).unwrap().key.unwrap(), "ema.net");
}

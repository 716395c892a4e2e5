//! Files that ask for more memory than they may have: each is opened by a process that cannot take it.

use flate2::Compression;
use flate2::write::GzEncoder;
use oculist_data::{Dataset, OpenOptions, fixture};
use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

const MIB: u64 = 1 << 20;

/// Runs in the child alone: opens the path and prints what that gives.
#[test]
fn child() {
    let Some(path) = std::env::var_os("OCULIST_LIMITS_PATH") else { return };
    if path == "take" {
        let taken = vec![1u8; (1500 * MIB) as usize];
        println!("<<taken {}>>", taken.iter().map(|&b| u64::from(b)).sum::<u64>());
        return;
    }
    let mut options = OpenOptions::default();
    options.threads = 1;
    if let Some(limit) = std::env::var_os("OCULIST_LIMITS_BYTES") {
        options.max_encoded_bytes = limit.to_string_lossy().parse().unwrap();
    }
    match Dataset::open_path(Path::new(&path), &options) {
        Ok(dataset) => println!("<<read {}>>", dataset.summary().images()),
        Err(err) => println!("<<{err}>>"),
    }
}

/// What opening gives in a process of at most 900 MiB of address space; None if it does not survive.
fn open_in(path: &Path, limit: Option<u64>) -> Option<String> {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 921600 && exec \"$0\" --exact limits::child --nocapture --test-threads 1"]);
    command.arg(std::env::current_exe().unwrap()).env("OCULIST_LIMITS_PATH", path);
    if let Some(limit) = limit {
        command.env("OCULIST_LIMITS_BYTES", limit.to_string());
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let (_, text) = text.split_once("<<")?;
    Some(text.rsplit_once(">>")?.0.to_owned())
}

#[track_caller]
fn says(path: &Path, limit: Option<u64>, parts: &[&str]) {
    let text = open_in(path, limit).unwrap_or_else(|| panic!("{} took all memory", path.display()));
    assert!(parts.iter().all(|part| text.contains(part)), "{text}\nlacks one of {parts:?}");
}

/// A file that begins with `start` and goes on with zeros, which take no place, to its length.
fn sparse(path: &Path, start: &[u8], len: u64) {
    let mut file = File::create(path).unwrap();
    file.write_all(start).unwrap();
    file.set_len(len).unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_takes_more_memory_is_seen() {
    assert_eq!(open_in(Path::new("take"), None), None);
    let folder = tempfile::tempdir().unwrap();
    fixture::write_class_folders(folder.path(), "", 2, 20, 8).unwrap();
    assert_eq!(open_in(folder.path(), None).as_deref(), Some("read 40"));
}

#[test]
#[cfg(target_os = "linux")]
fn rows_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("l.csv");
    let row = "expected a row of at most 1048576 bytes, found more";
    sparse(&path, b"file_name,label\na.png,", 1500 * MIB);
    says(&path, None, &["l.csv, line 2: ", row]);
    sparse(&path, b"file_name,label\na.png,\"", 1500 * MIB);
    says(
        &path,
        None,
        &[
            "l.csv, line 2: expected the quote that opens in row 1 to be closed",
            "1048576 bytes without its end",
        ],
    );
    sparse(&path, b"", 1500 * MIB);
    says(&path, None, &["l.csv, line 1: expected"]);
    sparse(&path, b"file_name,label\n", 5 << 30);
    says(&path, None, &["l.csv: expected a manifest of at most 4294967296 bytes, found 5368709120 bytes"]);
    let path = folder.path().join("l.jsonl");
    sparse(&path, b"{\"file_name\":\"a.png\",\"label\":\"", 1500 * MIB);
    says(&path, None, &["l.jsonl, line 1: ", row]);
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    sparse(&inner.join("metadata.jsonl"), b"{\"file_name\":\"a.png\",\"label\":\"a\"}\n{", 1500 * MIB);
    says(&inner, None, &["metadata.jsonl, line 2: ", row]);
    // A row as long as it may be is read.
    let mut text = b"file_name,label,caption\n".to_vec();
    for i in 0..40 {
        let name = format!("{i}.png");
        fixture::write_image(&folder.path().join(&name), &fixture::class_image(i % 2, 8, 3, i as u64))
            .unwrap();
        text.extend(format!("{name},{},", i % 2).bytes());
        text.resize(text.len() + if i < 3 { 1_000_000 } else { 3 }, b'x');
        text.push(b'\n');
    }
    let path = folder.path().join("long.csv");
    fs::write(&path, text).unwrap();
    says(&path, None, &["read 40"]);
}

#[test]
#[cfg(target_os = "linux")]
fn annotations_without_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    let mut text = b"{\"images\":[{\"id\":1,\"file_name\":\"".to_vec();
    text.resize(40 << 20, b'a');
    fs::write(&path, &text).unwrap();
    says(&path, None, &["a.json: expected COCO annotations", "a text of more than 16777216 bytes"]);
    sparse(&path, b"{\"images\":[", 3 << 30);
    says(&path, None, &["a.json: expected COCO annotations"]);
}

/// A gzip stream of `start` and then zeros in members of 64 MiB.
fn gzip(start: &[u8], members: usize) -> Vec<u8> {
    let pack = |bytes: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let zeros = pack(&vec![0; (64 * MIB) as usize]);
    let mut all = pack(start);
    (0..members).for_each(|_| all.extend(&zeros));
    all
}

fn idx(magic: u32, sizes: &[u32]) -> Vec<u8> {
    [magic].iter().chain(sizes).flat_map(|value| value.to_be_bytes()).collect()
}

#[test]
#[cfg(target_os = "linux")]
fn idx_files_that_unpack_to_more() {
    let folder = tempfile::tempdir().unwrap();
    let (images, labels) =
        (folder.path().join("train-images-idx3-ubyte.gz"), folder.path().join("train-labels-idx1-ubyte"));
    fs::write(&labels, [idx(0x0801, &[40]), vec![1; 40]].concat()).unwrap();
    // More than the header says: a byte beyond it is read, and no more.
    fs::write(&images, gzip(&idx(0x0803, &[40, 3, 4]), 24)).unwrap();
    says(folder.path(), None, &["the IDX header promises 480 bytes of data, found 481"]);
    // As much as the header says, and as the file has, but more than may be.
    fs::write(&images, gzip(&idx(0x0803, &[1 << 20, 32, 48]), 24)).unwrap();
    says(
        folder.path(),
        Some(256 * MIB),
        &["at most 268435456 bytes of images in memory", "1610612736 bytes by the IDX header"],
    );
    // More than so few bytes can hold.
    fs::write(&images, gzip(&idx(0x0803, &[1 << 31, 1 << 14, 1 << 14]), 1)).unwrap();
    says(folder.path(), None, &["the IDX header promises 576460752303423488 bytes of data, found 67108864"]);
    fs::remove_file(&images).unwrap();
    let plain = folder.path().join("train-images-idx3-ubyte");
    sparse(&plain, &idx(0x0803, &[1 << 20, 32, 48]), 16 + (1536 << 20));
    says(folder.path(), Some(256 * MIB), &["at most 268435456 bytes of images in memory"]);
}

#[test]
#[cfg(target_os = "linux")]
fn cifar_files_that_are_too_large() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("batches.meta.txt"), "a\nb\n").unwrap();
    sparse(&folder.path().join("data_batch_1.bin"), &[], 3073 * 500_000);
    let limit = Some(256 * MIB);
    says(
        folder.path(),
        limit,
        &["data_batch_1.bin: expected images in memory", "268435456 bytes, found 1536500000 bytes"],
    );
    fs::remove_file(folder.path().join("data_batch_1.bin")).unwrap();
    sparse(&folder.path().join("data_batch_1.bin"), &[], 3073 * 10);
    sparse(&folder.path().join("batches.meta.txt"), b"a\nb\n", 1500 * MIB);
    says(
        folder.path(),
        None,
        &["batches.meta.txt: expected a list of class names of at most 16777216 bytes"],
    );
}

#[test]
#[cfg(target_os = "linux")]
fn tar_headers_that_are_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tar");
    for kind in [tar::EntryType::GNULongName, tar::EntryType::GNULongLink, tar::EntryType::XHeader] {
        let mut header = tar::Header::new_gnu();
        header.set_path("././@LongLink").unwrap();
        header.set_entry_type(kind);
        header.set_size(1500 * MIB);
        header.set_cksum();
        sparse(&path, header.as_bytes(), 1501 * MIB);
        says(&path, None, &["x.tar: expected a tar header at byte 0", "more than 1048576 bytes"]);
    }
    // A long name that is one is read.
    let mut builder = tar::Builder::new(File::create(&path).unwrap());
    for i in 0..40 {
        let name = format!("{}/{i}", "long/".repeat(60));
        let image = folder.path().join("i.png");
        fixture::write_image(&image, &fixture::class_image(i % 2, 8, 3, i as u64)).unwrap();
        for (end, bytes) in [("png", fs::read(&image).unwrap()), ("cls", vec![b'0' + (i % 2) as u8])] {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            builder.append_data(&mut header, format!("{name}.{end}"), bytes.as_slice()).unwrap();
        }
    }
    builder.into_inner().unwrap();
    says(&path, None, &["read 40"]);
}

/// A Parquet file of one row whose image is so many zeros, and the row's label.
fn parquet(path: &Path, bytes: usize, codec: parquet::basic::Compression) {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    let schema = "message m { optional group image { optional binary bytes; } optional int64 label; }";
    let schema = Arc::new(parquet::schema::parser::parse_message_type(schema).unwrap());
    let properties = WriterProperties::builder().set_compression(codec).set_dictionary_enabled(false);
    let properties = properties.set_statistics_enabled(parquet::file::properties::EnabledStatistics::None);
    let file = File::create(path).unwrap();
    let mut writer =
        parquet::file::writer::SerializedFileWriter::new(file, schema, Arc::new(properties.build())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let image = ByteArray::from(vec![0u8; bytes]);
    column.typed::<ByteArrayType>().write_batch(&[image], Some(&[2]), None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1], Some(&[1]), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
#[cfg(target_os = "linux")]
fn parquet_pages_that_unpack_to_more() {
    use parquet::basic::{BrotliLevel, Compression, GzipLevel, ZstdLevel};
    const SIZE: usize = 300 << 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.parquet");
    let codecs = [
        Compression::BROTLI(BrotliLevel::try_new(1).unwrap()),
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::try_new(1).unwrap()),
    ];
    for codec in codecs {
        parquet(&path, SIZE, codec);
        let whole = fs::read(&path).unwrap();
        // In the page's header: the value, its length and the levels, whose coding is the writer's choice.
        let mut sizes = (SIZE as u64 + 8..SIZE as u64 + 24).map(|size| varint(2 * size));
        let place =
            |size: Vec<u8>| Some((whole[..40].windows(size.len()).position(|bytes| bytes == size)?, size));
        let (at, declared) = sizes.find_map(place).unwrap_or_else(|| panic!("{:?}", &whole[..40]));
        if whole.len() < (1 << 17) {
            // Not even the largest page of so few bytes has this size.
            says(
                &path,
                None,
                &["a page of the column image.bytes at byte 4 to unpack to at most", "bytes by its header"],
            );
        } else {
            says(&path, Some(64 * MIB), &["at most 67108864 bytes of encoded images"]);
        }
        // A page that says it is small.
        let mut lying = whole.clone();
        lying[at..at + declared.len()]
            .copy_from_slice(&[0x80 | 0x50, 0x8f, 0x80, 0x80, 0x00][..declared.len()]);
        fs::write(&path, &lying).unwrap();
        if matches!(codec, Compression::ZSTD(_)) {
            // This decoder ends at the declared size by itself.
            says(&path, None, &["x.parquet: expected Parquet"]);
        } else {
            says(&path, None, &["to unpack to the 1000 bytes of its header, found more"]);
        }
    }
    // Rows may name one value over and over; what is kept is counted.
    let one = folder.path().join("one.parquet");
    parquet(&one, 1 << 20, Compression::ZSTD(ZstdLevel::default()));
    says(&one, Some(1 << 19), &["at most 524288 bytes of encoded images"]);
    says(&one, Some(1 << 22), &["1 of 1 images are unreadable"]);
    footer_that_lies(&folder.path().join("f.parquet"), &fs::read(&one).unwrap());
}

/// A footer whose list of row groups claims to have two billion entries.
fn footer_that_lies(path: &Path, whole: &[u8]) {
    let len = u32::from_le_bytes(whole[whole.len() - 8..whole.len() - 4].try_into().unwrap()) as usize;
    let start = whole.len() - 8 - len;
    // Version, then the schema: a list of structures in the short form.
    let at = start + whole[start..].windows(2).position(|bytes| bytes == [0x19, 0x4c]).unwrap();
    let mut footer = whole[start..=at].to_vec();
    footer.push(0xfc);
    footer.extend(varint((1 << 31) - 1));
    footer.extend(&whole[at + 2..whole.len() - 8]);
    let mut file = File::create(path).unwrap();
    file.write_all(&whole[..start]).unwrap();
    file.write_all(&footer).unwrap();
    file.write_all(&(footer.len() as u32).to_le_bytes()).unwrap();
    file.write_all(b"PAR1").unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    says(path, None, &["f.parquet: expected Parquet, found a footer that is none"]);
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

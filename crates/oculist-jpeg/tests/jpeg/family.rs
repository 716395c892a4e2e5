//! A family of layouts: sampling factors, orders of scans, restarts, markers and sizes in many combinations.

use crate::writer::{Component, Layout, Scan};

/// A segment with its marker and length.
pub(crate) fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [&[0xff, marker, 0, content.len() as u8 + 2], content].concat()
}

pub(crate) fn jfif() -> Vec<u8> {
    segment(0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
}

pub(crate) fn adobe(transform: u8) -> Vec<u8> {
    segment(0xee, &[b"Adobe\0\x64\0\0\0\0", &[transform][..]].concat())
}

fn scan(components: &[usize], band: (usize, usize), bits: (u8, u8)) -> Scan {
    Scan { components: components.to_vec(), band, bits }
}

/// Ways to send the coefficients of `count` components. The last ones leave some out.
pub(crate) fn scripts(count: usize, interleaved: bool) -> Vec<(&'static str, bool, Vec<Scan>)> {
    let all: Vec<usize> = (0..count).collect();
    let each = |band: (usize, usize), bits: (u8, u8)| all.iter().map(move |&i| scan(&[i], band, bits));
    let means = |bits: (u8, u8)| -> Vec<Scan> {
        if interleaved { vec![scan(&all, (0, 0), bits)] } else { each((0, 0), bits).collect() }
    };
    let mut scripts = Vec::new();
    if interleaved {
        scripts.push(("at once", false, vec![scan(&all, (0, 63), (0, 0))]));
    }
    scripts.push(("one by one", false, each((0, 63), (0, 0)).collect()));
    scripts.push(("backwards", false, each((0, 63), (0, 0)).rev().collect()));
    if interleaved && count == 3 {
        let rest = vec![scan(&[1, 2], (0, 63), (0, 0)), scan(&[0], (0, 63), (0, 0))];
        scripts.push(("chroma first", false, rest));
    }
    let bands = || each((1, 5), (0, 0)).chain(each((6, 63), (0, 0)));
    scripts.push(("bands", true, means((0, 0)).into_iter().chain(bands()).collect()));
    let bits = means((0, 1))
        .into_iter()
        .chain(each((1, 5), (0, 2)))
        .chain(each((6, 63), (0, 2)))
        .chain(each((1, 63), (2, 1)))
        .chain(means((1, 0)))
        .chain(each((1, 63), (1, 0)));
    let bits: Vec<Scan> = bits.collect();
    scripts.push(("bits", true, bits.clone()));
    scripts.push(("without the last bits", true, bits[..bits.len() - count].to_vec()));
    scripts.push(("means only", true, means((0, 0))));
    let low = means((0, 0)).into_iter().chain(each((1, 3), (0, 1)));
    scripts.push(("low frequencies", true, low.collect()));
    scripts
}

fn components(factors: &[(usize, usize)], ids: &[u8]) -> Vec<Component> {
    factors.iter().zip(ids).map(|(&(h, v), &id)| Component { id, h, v }).collect()
}

const NUMBERS: [u8; 4] = [1, 2, 3, 4];

/// All files with their names.
pub(crate) fn layouts() -> Vec<(String, Layout)> {
    let mut layouts = Vec::new();
    let mut sizes =
        [(33, 31), (50, 23), (1, 40), (37, 1), (8, 70), (3, 5), (17, 64), (65, 16)].into_iter().cycle();
    let mut variant = 0usize;
    let mut add =
        |name: &str, components: &[Component], segments: &[u8], scripts: &[(&str, bool, Vec<Scan>)]| {
            for (script, progressive, scans) in scripts {
                let (width, height) = sizes.next().unwrap();
                variant += 1;
                let layout = Layout {
                    width,
                    height,
                    components: components.to_vec(),
                    progressive: *progressive,
                    scans: scans.clone(),
                    restart: [0, 1, 0, 3, 9][variant % 5],
                    segments: segments.to_vec(),
                    padding: variant.is_multiple_of(3),
                    tables_late: variant.is_multiple_of(4),
                    divisor: [1, 7, 23][variant % 3],
                };
                layouts
                    .push((format!("{name} {script} {width}x{height} restart {}", layout.restart), layout));
            }
        };
    for luma in [
        (1, 1),
        (2, 1),
        (1, 2),
        (2, 2),
        (4, 1),
        (1, 4),
        (4, 2),
        (2, 4),
        (3, 1),
        (1, 3),
        (3, 3),
        (4, 4),
        (3, 2),
    ] {
        for chroma in [(1, 1), (2, 1), (1, 2), (2, 2), (4, 4), (3, 1)] {
            let factors = [luma, chroma, if chroma == (2, 2) { (1, 1) } else { chroma }];
            let most = (
                factors.map(|f| f.0).into_iter().max().unwrap(),
                factors.map(|f| f.1).into_iter().max().unwrap(),
            );
            let whole = factors.iter().all(|f| most.0 % f.0 == 0 && most.1 % f.1 == 0);
            if !whole {
                continue;
            }
            let interleaved = factors.iter().map(|f| f.0 * f.1).sum::<usize>() <= 10;
            let name = format!("{factors:?}");
            add(&name, &components(&factors, &NUMBERS), &jfif(), &scripts(3, interleaved));
        }
    }
    let plain = [(1, 1); 4];
    let halved = [(2, 2), (1, 1), (1, 1), (2, 2)];
    let other = [(1, 1), (1, 2), (2, 1), (2, 2)];
    add("grey", &components(&[(2, 3)], &[9]), &jfif(), &scripts(1, true));
    for (name, segments) in
        [("", vec![]), ("transform 0", adobe(0)), ("transform 1", adobe(1)), ("transform 2", adobe(2))]
    {
        for (ids, known) in [(*b"RGB", "names RGB"), ([0, 1, 2], "from 0"), ([7, 7, 7], "of one name")] {
            for factors in [&plain[..3], &halved[..3]] {
                let name = format!("{name} {known} {factors:?}");
                // A scan of one component that shares its name would be another component's.
                let usable = if ids == [7; 3] { 1 } else { 5 };
                add(&name, &components(factors, &ids), &segments, &scripts(3, true)[..usable]);
                let both = [jfif(), segments.clone()].concat();
                add(&format!("JFIF {name}"), &components(factors, &ids), &both, &scripts(3, true)[..1]);
            }
        }
        for factors in [plain, halved, other] {
            let name = format!("four {name} {factors:?}");
            add(&name, &components(&factors, &NUMBERS), &segments, &scripts(4, true));
        }
    }
    layouts
}

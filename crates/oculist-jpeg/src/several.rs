//! Files of several scans: all coefficients are gathered before any is transformed.

use crate::block;
use crate::frame::Frame;
use crate::header::{Header, ScanHeader, Tables};
use crate::huffman::{Class, Table};
use crate::progressive::Band;
use crate::scan::{Reader, Scan};
use crate::stored::Stored;
use crate::{Error, Result, smooth};

/// Scans that a file may have. Encoders write about ten; each scan of a few bytes may cost a walk over the whole image,
/// so that a file of very many is an attack.
const MOST_SCANS: usize = 500;

/// Pixels that all scans together may walk over, some ten seconds' worth: 100 scans of the largest images.
const MOST_WALKED: usize = 10_000_000_000;

const EARLY: Error = Error::Truncated("the last block of a scan");

/// Reads all scans; gives the coefficients of every component.
///
/// # Errors
/// [`Error::Truncated`] for a scan that ends early and for components that no scan sends. A progressive file may stop
/// behind any scan that is there as a whole once the means of all components were sent; what it leaves open is estimated
/// as libjpeg does.
pub(crate) fn read(header: &Header<'_>) -> Result<Vec<Stored>> {
    let frame = &header.frame;
    let mut tables = header.tables.clone();
    let mut stored: Vec<Option<Stored>> = frame.components.iter().map(|_| None).collect();
    let (mut head, mut rest) = (header.first.clone(), header.scan);
    let most_scans = MOST_SCANS.min(MOST_WALKED / (frame.width * frame.height));
    for _ in 0..most_scans.max(1) {
        let (scan, behind) = Scan::copy(rest)?;
        one(&head, &scan, frame, &tables, &mut stored)?;
        rest = behind;
        if let Some(next) = tables.next_scan(&mut rest, frame)? {
            head = next;
            continue;
        }
        let all = stored.into_iter().collect::<Option<Vec<_>>>();
        let mut all = all.ok_or(Error::Truncated("the scans of all components"))?;
        if frame.progressive {
            smooth::estimate(&mut all, frame);
        }
        return Ok(all);
    }
    Err(Error::Unsupported("more scans than the size of the image allows (500, and 10^10 pixels in all)"))
}

/// What is read of each block.
enum Coding<'t> {
    /// All coefficients, with the tables of each of the scan's components.
    Whole(Vec<[&'t Table; 2]>),
    /// The higher bits of means.
    Means(Vec<&'t Table>, u8),
    /// One more bit of means.
    MeansBit(u8),
    /// The higher bits of other coefficients.
    Begin(Band<'t>),
    /// One more bit of other coefficients.
    Refine(Band<'t>),
}

/// Reads one scan.
fn one(
    head: &ScanHeader,
    scan: &Scan,
    frame: &Frame,
    tables: &Tables<'_>,
    stored: &mut [Option<Stored>],
) -> Result<()> {
    // A scan of one component has its blocks alone, without those that only fill units.
    let alone = head.components.len() == 1;
    let units = if alone { frame.blocks(head.components[0].0) } else { frame.units() };
    let shapes: Vec<(usize, usize)> = head
        .components
        .iter()
        .map(|&(i, _)| if alone { (1, 1) } else { (frame.components[i].h, frame.components[i].v) })
        .collect();
    scan.check_parts(units.0 * units.1, tables.restart_interval)?;
    let blocks = units.0 * units.1 * shapes.iter().map(|(h, v)| h * v).sum::<usize>();
    let least_bits = match (frame.progressive, head.band.0) {
        (false, _) => 2,
        (true, 0) => 1,
        (true, _) => 0,
    };
    if blocks * least_bits > scan.len() * 8 {
        return Err(Error::Truncated("its scan can be complete"));
    }
    for &(i, _) in &head.components {
        let quantization = tables.quantization[frame.components[i].quantization]
            .ok_or(Error::Corrupt("a component without its quantisation table"))?;
        if head.band.0 == 0 && stored[i].is_none() {
            stored[i] = Some(Stored::new(frame, i, quantization));
        }
        stored[i]
            .as_mut()
            .ok_or(Error::Corrupt("a scan that comes before that of the means"))?
            .note(head.band, head.bits)?;
    }
    let table = |class: Class, component: usize| {
        let (kind, slot) = match class {
            Class::Mean => (0, head.components[component].1[0]),
            Class::Other | Class::Band => (1, head.components[component].1[1]),
        };
        let codes = tables.codes[kind].get(slot).copied().flatten();
        Table::new(&codes.ok_or(Error::Corrupt("a scan without its Huffman table"))?, class)
    };
    let count = head.components.len();
    let made = |class: Class| (0..count).map(|i| table(class, i)).collect::<Result<Vec<_>>>();
    let (means, others) = match (frame.progressive, head.band.0, head.bits.0) {
        (false, ..) => (made(Class::Mean)?, made(Class::Other)?),
        (true, 0, 0) => (made(Class::Mean)?, Vec::new()),
        (true, 0, _) => (Vec::new(), Vec::new()),
        (true, ..) => (Vec::new(), made(Class::Band)?),
    };
    let bit = head.bits.1;
    let band = |table| Band { table, first: head.band.0.into(), last: head.band.1.into(), bit, run: 0 };
    let coding = match (frame.progressive, head.band.0, head.bits.0) {
        (false, ..) => Coding::Whole(means.iter().zip(&others).map(|(m, o)| [&**m, &**o]).collect()),
        (true, 0, 0) => Coding::Means(means.iter().map(|m| &**m).collect(), bit),
        (true, 0, _) => Coding::MeansBit(bit),
        (true, _, 0) => Coding::Begin(band(&others[0])),
        (true, ..) => Coding::Refine(band(&others[0])),
    };
    let mut targets: Vec<&mut Stored> = Vec::with_capacity(count);
    for (i, stored) in stored.iter_mut().enumerate() {
        if head.components.iter().any(|&(component, _)| component == i) {
            targets.extend(stored.as_mut());
        }
    }
    run(coding, scan, tables.restart_interval, units, &shapes, &mut targets)
}

/// Reads all units of a scan.
fn run(
    mut coding: Coding<'_>,
    scan: &Scan,
    interval: usize,
    units: (usize, usize),
    shapes: &[(usize, usize)],
    targets: &mut [&mut Stored],
) -> Result<()> {
    let mut reader = scan.reader(0);
    let mut last_means = vec![0i16; targets.len()];
    let (mut part, mut left) = (0, if interval == 0 { usize::MAX } else { interval });
    for unit_row in 0..units.1 {
        for unit in 0..units.0 {
            if left == 0 {
                if reader.is_past(scan.ends[part]) {
                    return Err(EARLY);
                }
                reader = scan.reader(scan.ends[part]);
                (part, left) = (part + 1, interval);
                last_means.fill(0);
                if let Coding::Begin(band) | Coding::Refine(band) = &mut coding {
                    band.run = 0;
                }
            }
            left -= 1;
            for (i, (target, &(h, v))) in targets.iter_mut().zip(shapes).enumerate() {
                for row in unit_row * v..(unit_row + 1) * v {
                    for column in unit * h..(unit + 1) * h {
                        let (group, at) = target.slot(row, column);
                        read_block(&mut coding, &mut reader, i, &mut last_means[i], group, at)?;
                    }
                }
            }
        }
        // Behind the data the reader finds zeros, which may well be codes.
        if reader.is_past(scan.ends[part]) {
            return Err(EARLY);
        }
    }
    Ok(())
}

#[inline(always)]
fn read_block(
    coding: &mut Coding<'_>,
    reader: &mut Reader<'_>,
    component: usize,
    mean: &mut i16,
    group: &mut [i16; oculist_kernels::image::GROUP_LEN],
    at: usize,
) -> Result<()> {
    match coding {
        Coding::Whole(tables) => block::read(reader, tables[component], mean, group, at).map(|_| ()),
        Coding::Means(tables, bit) => {
            block::read_mean(reader, tables[component], mean)?;
            group[at] = mean.wrapping_shl(u32::from(*bit));
            Ok(())
        }
        Coding::MeansBit(bit) => {
            group[at] |= i16::from(reader.bit()) << *bit;
            Ok(())
        }
        Coding::Begin(band) => band.begin(reader, group, at),
        Coding::Refine(band) => band.refine(reader, group, at),
    }
}

impl Header<'_> {
    /// Whether the one scan of the file has all coefficients.
    pub(crate) fn is_one_scan(&self) -> bool {
        !self.frame.progressive && self.first.components.len() == self.frame.components.len()
    }
}

//! Which images an epoch shows, and how often.

use crate::Subset;
use oculist_augment::Rng;

/// How the places of an epoch are filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sampling {
    /// Every image once: `n` places for `n` images.
    #[default]
    Once,
    /// Every class equally often: `n` places, and the numbers of places of any two classes differ by at most
    /// one. No image comes again before all of its class have come, also from one epoch to the next.
    Balanced,
    /// Repeated augmentation with an epoch of the usual length: `n` places for `ceil(n / times)` images, each
    /// `times` times in one batch, differently augmented (the last image perhaps fewer times). No image comes
    /// in another batch before all have come, also from one epoch to the next.
    ///
    /// # Source
    /// Berman et al., MultiGrain (arXiv:1902.05509), section 3.4; the epoch's length is that of its published
    /// code, except that it is not rounded down to a multiple of 256.
    Repeated {
        /// How often each image is shown; at least 1.
        times: usize,
    },
    /// Batch augmentation: `n * times` places, every image `times` times in one batch, differently augmented.
    ///
    /// # Source
    /// Hoffer et al., Augment Your Batch (arXiv:1901.09335), where a batch of B images becomes one of
    /// `B * times`; here `batch_size` is the number of places.
    BatchAugment {
        /// How often each image is shown; at least 1.
        times: usize,
    },
    /// Views to be compared: `n * times` places, every image `times` times in a row in one batch, which has whole images.
    /// All share the first `shared` steps of the pipeline; the first has no others, each of the rest draws its own.
    Views {
        /// How often each image is shown; at least 1.
        times: usize,
        /// Steps of the pipeline that are the same for all views.
        shared: usize,
    },
}

/// One place of an epoch's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The image.
    pub(super) index: u32,
    /// How often the epoch has it before, which keeps its augmentations apart.
    pub(super) repeat: u32,
}

const SHUFFLE: u64 = 0x5348_5546; // "SHUF": the order of an epoch.
const CLASS: u64 = 0x434c_4153; // "CLAS": the order within a class.
const REPEAT: u64 = 0x5245_5045; // "REPE": the order of repeated images.

impl Sampling {
    /// How often an image stands in a batch.
    pub(super) fn times(self) -> usize {
        match self {
            Self::Once | Self::Balanced => 1,
            Self::Repeated { times } | Self::BatchAugment { times } | Self::Views { times, .. } => times,
        }
    }

    /// Places in an epoch of `images` images.
    pub(super) fn places(self, images: usize) -> usize {
        match self {
            Self::BatchAugment { times } | Self::Views { times, .. } => images * times,
            _ => images,
        }
    }

    /// The epoch's order; it depends on nothing but the labels, the seed and the epoch.
    pub(super) fn order(self, subset: &Subset, seed: u64, epoch: u64, shuffle: bool) -> Vec<Place> {
        let images = subset.len();
        let shuffled = |mut indices: Vec<u32>| {
            if shuffle {
                Rng::keyed(&[seed, SHUFFLE, epoch]).shuffle(&mut indices);
            }
            indices
        };
        let copies = |indices: Vec<u32>, times: usize| -> Vec<Place> {
            let each = indices.into_iter();
            each.flat_map(|index| (0..times as u32).map(move |repeat| Place { index, repeat })).collect()
        };
        match self {
            Self::Once => copies(shuffled((0..images as u32).collect()), 1),
            Self::BatchAugment { times } | Self::Views { times, .. } => {
                copies(shuffled((0..images as u32).collect()), times)
            }
            Self::Repeated { times } => {
                let all: Vec<u32> = (0..images as u32).collect();
                let chosen = images.div_ceil(times);
                let first = epoch * chosen as u64;
                let mut rounds = Rounds::new(&all, &[seed, REPEAT]);
                // The end of one round may be followed by the same image at the beginning of the next.
                let mut places = copies((0..chosen as u64).map(|i| rounds.at(first + i)).collect(), times);
                places.truncate(images);
                places
            }
            Self::Balanced => balanced(subset, seed, epoch),
        }
    }
}

/// The classes take turns without end; an epoch has its `n` turns of that sequence, in random order. The images of
/// a class come in the order of its rounds.
fn balanced(subset: &Subset, seed: u64, epoch: u64) -> Vec<Place> {
    let mut members: Vec<Vec<u32>> = vec![Vec::new(); subset.classes()];
    for (i, &label) in subset.labels().iter().enumerate() {
        members[label as usize].push(i as u32);
    }
    let mut rounds: Vec<Rounds> = members
        .iter()
        .enumerate()
        .filter(|(_, members)| !members.is_empty())
        .map(|(class, members)| Rounds::new(members, &[seed, CLASS, class as u64]))
        .collect();
    let (classes, n) = (rounds.len() as u64, subset.len() as u64);
    let first = epoch * n;
    let mut turns: Vec<u64> = (first..first + n).map(|turn| turn % classes).collect();
    Rng::keyed(&[seed, SHUFFLE, epoch]).shuffle(&mut turns);
    // How many turns each class had before this epoch.
    let mut had: Vec<u64> = (0..classes).map(|class| (first + classes - 1 - class) / classes).collect();
    let mut seen = vec![0; subset.len()];
    turns
        .into_iter()
        .map(|class| {
            let index = rounds[class as usize].at(had[class as usize]);
            had[class as usize] += 1;
            seen[index as usize] += 1;
            Place { index, repeat: seen[index as usize] - 1 }
        })
        .collect()
}

/// The endless sequence of random orders of some images, one order after the other.
struct Rounds<'a> {
    members: &'a [u32],
    key: Vec<u64>,
    /// The round in `order`.
    round: Option<u64>,
    order: Vec<u32>,
}

impl<'a> Rounds<'a> {
    fn new(members: &'a [u32], key: &[u64]) -> Self {
        Self { members, key: key.to_vec(), round: None, order: Vec::new() }
    }

    fn at(&mut self, place: u64) -> u32 {
        let n = self.members.len() as u64;
        let round = place / n;
        if self.round != Some(round) {
            self.order = self.members.to_vec();
            let key = [&self.key[..], &[round]].concat();
            Rng::keyed(&key).shuffle(&mut self.order);
            self.round = Some(round);
        }
        self.order[(place % n) as usize]
    }
}

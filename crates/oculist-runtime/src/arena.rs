//! One block of memory for all intermediate results.
//!
//! Every tensor lives from the step that writes it to the last one that reads it. Tensors are placed in order of
//! size, the largest first, each at the lowest offset where it meets no tensor of an overlapping lifetime; this
//! greedy order stays close to the lower bound (the largest sum of tensors alive at once) on CNNs.

mod placed;

use std::ops::Range;

use oculist_kernels::{Buffer, KernelError};

use crate::tensor::TensorId;
use placed::{Life, Placed};

/// f32 of one cache line; every tensor starts on one.
const LINE: usize = 16;

/// Where a tensor lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The caller's input slice.
    Input,
    /// Part of the arena, in f32.
    Arena(Range<usize>),
}

/// What the placement needs to know of a tensor.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Bytes.
    pub(crate) bytes: usize,
    /// First and last step that touch it, both inclusive; `None` when no step does.
    pub(crate) life: Option<Life>,
    /// The tensor whose place it takes over.
    pub(crate) takes_over: Option<TensorId>,
    /// Whether it is the caller's slice.
    pub(crate) input: bool,
}

/// The memory and the place of each tensor.
#[derive(Debug)]
pub(crate) struct Arena {
    memory: Buffer,
    places: Vec<Place>,
    /// f32 of the memory.
    len: usize,
}

impl Arena {
    /// Places the tensors; the memory comes with [`Arena::allocated`].
    pub(crate) fn new(requests: &[Request]) -> Self {
        let (places, len) = place(requests);
        Self { memory: Buffer::zeroed(0), places, len }
    }

    /// The same arena with its memory.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`], naming `what`.
    pub(crate) fn allocated(self, what: &str) -> Result<Self, KernelError> {
        Ok(Self { memory: Buffer::try_zeroed(self.len, what)?, ..self })
    }

    /// The same places in memory of their own.
    ///
    /// # Errors
    /// [`KernelError::NoMemory`], naming `what`.
    pub(crate) fn twin(&self, what: &str) -> Result<Self, KernelError> {
        let memory = Buffer::try_zeroed(self.len, what)?;
        Ok(Self { memory, places: self.places.clone(), len: self.len })
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        self.len.saturating_mul(4)
    }

    /// Whether two tensors share their place.
    pub(crate) fn same_place(&self, a: TensorId, b: TensorId) -> bool {
        self.places[a] == self.places[b]
    }

    /// A tensor for reading; `input` is the caller's slice.
    pub(crate) fn read<'a>(&'a self, id: TensorId, input: &'a [f32]) -> &'a [f32] {
        match &self.places[id] {
            Place::Input => input,
            Place::Arena(range) => &self.memory[range.clone()],
        }
    }

    /// One tensor for writing and others for reading. They must not overlap, which the placement ensures.
    pub(crate) fn split<'a, const N: usize>(
        &'a mut self,
        reads: [TensorId; N],
        write: TensorId,
        input: &'a [f32],
    ) -> ([&'a [f32]; N], &'a mut [f32]) {
        let Place::Arena(target) = &self.places[write] else {
            unreachable!("no step writes the caller's input");
        };
        let (before, rest) = self.memory.split_at_mut(target.start);
        let (out, after) = rest.split_at_mut(target.len());
        let (before, after) = (&*before, &*after);
        let views = reads.map(|id| match &self.places[id] {
            Place::Input => input,
            Place::Arena(range) if range.end <= target.start => &before[range.clone()],
            Place::Arena(range) => &after[range.start - target.end..range.end - target.end],
        });
        (views, out)
    }
}

/// Tensors alive together that a tensor is fitted in between; with more of them it gets a place of its own behind all.
/// Networks have a few dozens at the most. Without a bound, a graph of which everything lives to the end would take
/// quadratic time.
const NEIGHBOURS: usize = 256;

/// The place of each tensor and the length of the arena in f32.
fn place(requests: &[Request]) -> (Vec<Place>, usize) {
    // A tensor that takes over another's place is one block with it, alive over both lifetimes. The one that takes over
    // was made later, so the owner of the other is known.
    let mut owner: Vec<TensorId> = (0..requests.len()).collect();
    for (id, request) in requests.iter().enumerate() {
        if let Some(source) = request.takes_over {
            debug_assert!(source < id, "tensor {id} takes over {source}");
            owner[id] = owner[source];
        }
    }
    let mut lives: Vec<Option<Life>> = vec![None; requests.len()];
    let mut lens = vec![0; requests.len()];
    for (id, request) in requests.iter().enumerate() {
        let block = owner[id];
        lens[block] = lens[block].max(request.bytes.div_ceil(4 * LINE).saturating_mul(LINE));
        lives[block] = match (lives[block], request.life) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
    let mut order: Vec<TensorId> =
        (0..requests.len()).filter(|&id| owner[id] == id && !requests[id].input).collect();
    order.sort_by_key(|&id| (std::cmp::Reverse(lens[id]), id));
    let mut starts = vec![0; requests.len()];
    let mut placed = Placed::new(order.iter().filter_map(|&id| Some((id, lives[id]?))).collect());
    let mut alive = Vec::new();
    let mut len = 0;
    for &id in &order {
        let Some(life) = lives[id] else {
            lens[id] = 0;
            continue;
        };
        placed.alive(life, NEIGHBOURS + 1, &mut alive);
        let mut start: usize = 0;
        if alive.len() > NEIGHBOURS {
            start = len;
        } else {
            alive.sort_by_key(|&other| starts[other]);
            for &other in &alive {
                if start.saturating_add(lens[id]) <= starts[other] {
                    break;
                }
                start = start.max(starts[other].saturating_add(lens[other]));
            }
        }
        starts[id] = start;
        placed.insert(id);
        len = len.max(start.saturating_add(lens[id]));
    }
    let places = (0..requests.len())
        .map(|id| {
            if requests[id].input {
                return Place::Input;
            }
            let block = owner[id];
            Place::Arena(starts[block]..starts[block].saturating_add(lens[block]))
        })
        .collect();
    (places, len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(lines: usize, life: (usize, usize)) -> Request {
        Request { bytes: lines * 64, life: Some(life), takes_over: None, input: false }
    }

    #[test]
    fn tensors_alive_together_never_overlap() {
        let mut requests = Vec::new();
        let mut state = 7u64;
        for _ in 0..60 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (a, b) = ((state >> 33) as usize % 40, (state >> 45) as usize % 6);
            requests.push(request(1 + (state >> 55) as usize % 9, (a, a + b)));
        }
        let (places, len) = place(&requests);
        let mut peak = 0;
        for step in 0..50 {
            let alive: Vec<usize> =
                (0..60).filter(|&i| requests[i].life.is_some_and(|(a, b)| a <= step && step <= b)).collect();
            peak = peak.max(alive.iter().map(|&i| requests[i].bytes / 4).sum());
            for (k, &i) in alive.iter().enumerate() {
                for &j in &alive[k + 1..] {
                    let (Place::Arena(a), Place::Arena(b)) = (&places[i], &places[j]) else { panic!() };
                    assert!(a.end <= b.start || b.end <= a.start, "{a:?} and {b:?} at step {step}");
                }
            }
        }
        assert!(len >= peak && len <= peak * 3 / 2, "arena of {len} for a peak of {peak}");
    }

    /// The length that comes of looking at all tensors for each.
    fn by_all_pairs(requests: &[Request]) -> usize {
        let mut order: Vec<&Request> = requests.iter().collect();
        order.sort_by_key(|r| std::cmp::Reverse(r.bytes));
        let mut placed: Vec<(usize, &Request)> = Vec::new();
        for request in order {
            let (first, last) = request.life.unwrap();
            let mut taken: Vec<(usize, usize)> = placed
                .iter()
                .filter(|(_, other)| other.life.is_some_and(|(a, b)| a <= last && first <= b))
                .map(|(start, other)| (*start, start + other.bytes / 4))
                .collect();
            taken.sort_unstable();
            let len = request.bytes / 4;
            let start = taken
                .iter()
                .fold(
                    (0, false),
                    |(at, fits), &(a, b)| if fits || at + len <= a { (at, true) } else { (at.max(b), false) },
                )
                .0;
            placed.push((start, request));
        }
        placed.iter().map(|(start, r)| start + r.bytes / 4).max().unwrap_or(0)
    }

    #[test]
    fn the_index_leads_to_the_places_that_all_pairs_give() {
        let mut state = 3u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize % n
        };
        for case in 0..50 {
            let requests: Vec<Request> = (0..=4 * case)
                .map(|_| {
                    let first = random(100);
                    request(1 + random(30), (first, first + random(12)))
                })
                .collect();
            assert_eq!(place(&requests).1, by_all_pairs(&requests), "case {case}");
        }
    }

    #[test]
    fn tensors_that_all_live_to_the_end_do_not_overlap() {
        let n = 3 * NEIGHBOURS;
        let mut requests: Vec<Request> = (0..n).map(|i| request(1 + i % 7, (i, n))).collect();
        requests.push(request(5, (n, n)));
        let (places, len) = place(&requests);
        let mut ranges: Vec<&Range<usize>> = places
            .iter()
            .map(|place| match place {
                Place::Arena(range) => range,
                Place::Input => panic!("no input was asked for"),
            })
            .collect();
        ranges.sort_by_key(|range| range.start);
        assert!(ranges.windows(2).all(|pair| pair[0].end <= pair[1].start));
        let all: usize = requests.iter().map(|r| r.bytes / 4).sum();
        assert_eq!(len, all);
    }

    #[test]
    fn absurd_sizes_do_not_wrap() {
        let mut requests: Vec<Request> = (0..3).map(|i| request(1, (i, i + 1))).collect();
        requests[1].bytes = usize::MAX;
        assert_eq!(Arena::new(&requests).bytes(), usize::MAX);
    }

    #[test]
    fn a_chain_needs_two_places() {
        let requests: Vec<Request> = (0..10).map(|i| request(4, (i, i + 1))).collect();
        assert_eq!(place(&requests).1, 2 * 4 * LINE);
    }

    #[test]
    fn taking_over_keeps_the_place() {
        let mut requests = vec![request(4, (0, 1)), request(4, (1, 2)), request(4, (2, 3))];
        requests[1].takes_over = Some(0);
        let (places, _) = place(&requests);
        assert_eq!(places[0], places[1]);
        assert_ne!(places[1], places[2]);
    }
}

//! One block of memory for all intermediate results.
//!
//! Every tensor lives from the step that writes it to the last one that reads it. Tensors are placed in order of
//! size, the largest first, each at the lowest offset where it meets no tensor of an overlapping lifetime; this
//! greedy order stays close to the lower bound (the largest sum of tensors alive at once) on CNNs.

use std::ops::Range;

use oculist_kernels::Buffer;

use crate::tensor::TensorId;

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
    pub(crate) life: Option<(usize, usize)>,
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
}

impl Arena {
    /// Places the tensors and allocates the memory.
    pub(crate) fn new(requests: &[Request]) -> Self {
        let (places, len) = place(requests);
        Self { memory: Buffer::zeroed(len), places }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        4 * self.memory.len()
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

/// The place of each tensor and the length of the arena in f32.
fn place(requests: &[Request]) -> (Vec<Place>, usize) {
    // A tensor that takes over another's place is one block with it, alive over both lifetimes.
    let owner: Vec<TensorId> = (0..requests.len())
        .map(|mut id| {
            while let Some(source) = requests[id].takes_over {
                id = source;
            }
            id
        })
        .collect();
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; requests.len()];
    let mut lens = vec![0; requests.len()];
    for (id, request) in requests.iter().enumerate() {
        let block = owner[id];
        lens[block] = lens[block].max(request.bytes.div_ceil(4 * LINE) * LINE);
        lives[block] = match (lives[block], request.life) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }
    let mut order: Vec<TensorId> =
        (0..requests.len()).filter(|&id| owner[id] == id && !requests[id].input).collect();
    order.sort_by_key(|&id| (std::cmp::Reverse(lens[id]), id));
    let mut starts: Vec<Option<usize>> = vec![None; requests.len()];
    let mut len = 0;
    for &id in &order {
        let Some(life) = lives[id] else {
            starts[id] = Some(0);
            lens[id] = 0;
            continue;
        };
        let mut taken: Vec<Range<usize>> = order
            .iter()
            .filter_map(|&other| {
                let start = starts[other]?;
                let (first, last) = lives[other]?;
                (first <= life.1 && life.0 <= last).then_some(start..start + lens[other])
            })
            .collect();
        taken.sort_by_key(|range| range.start);
        let mut start = 0;
        for range in taken {
            if start + lens[id] <= range.start {
                break;
            }
            start = start.max(range.end);
        }
        starts[id] = Some(start);
        len = len.max(start + lens[id]);
    }
    let places = (0..requests.len())
        .map(|id| {
            if requests[id].input {
                return Place::Input;
            }
            let start = starts[owner[id]].expect("every block was placed");
            Place::Arena(start..start + lens[owner[id]])
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

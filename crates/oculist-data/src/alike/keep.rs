//! Splits that are drawn with each group of repeated images on one side.

use super::At;
use crate::error::Result;
use crate::open::Drawn;
use crate::{Dataset, OpenOptions, Split, Subset, Targets, Task, grouped_parts};
use std::collections::{BTreeMap, BTreeSet};

/// Draws the splits anew, by groups, if one of the groups was cut; `homes` says where the images are and is brought up to
/// date.
///
/// Large groups can leave a class out of a split or a split nearly empty. A draw with less than half of the images that a split
/// should have, or without a class that it had, is not taken: the largest groups are cut then, their images drawn one by one,
/// and the draw is tried again, until it fits or no fewer groups are cut than before.
pub(super) fn together(
    dataset: &mut Dataset,
    homes: &mut [At],
    groups: &[u32],
    options: &OpenOptions,
) -> Result<()> {
    let Some(Drawn { given, .. }) = dataset.drawn else { return Ok(()) };
    // Training images, and what was drawn from them.
    let is_pool = |split: Split| split == Split::Train || given[split as usize] == 0;
    let mut pool: Vec<usize> = (0..homes.len()).filter(|&i| is_pool(homes[i].0)).collect();
    // As the source has them.
    pool.sort_by_key(|&i| (dataset.split(homes[i].0).place(homes[i].1), homes[i]));
    let cut = |split_of: &dyn Fn(usize) -> Split| {
        let mut splits: BTreeMap<u32, BTreeSet<Split>> = BTreeMap::new();
        for &i in &pool {
            splits.entry(groups[i]).or_default().insert(split_of(i));
        }
        splits.values().filter(|splits| splits.len() > 1).count()
    };
    let was_cut = cut(&|i| homes[i].0);
    if was_cut == 0 {
        return Ok(());
    }
    let pooled: Vec<Split> = Split::ALL.into_iter().filter(|&split| is_pool(split)).collect();
    let all = Subset::joined(&pooled.iter().map(|&split| dataset.split(split).clone()).collect::<Vec<_>>())?;
    let offset = |split: Split| -> usize {
        pooled.iter().take_while(|&&s| s != split).map(|&s| dataset.split(s).len()).sum()
    };
    let positions: Vec<usize> = pool.iter().map(|&i| offset(homes[i].0) + homes[i].1).collect();
    let images = all.select(&positions)?;
    let fractions = options.fractions(given[Split::Val as usize] > 0, given[Split::Test as usize] > 0);
    let (labels, classes) = labels(images.targets(), images.classes());
    let sizes = sizes(&pool, groups);
    let largest = sizes.values().copied().max().unwrap_or_default();
    for largest in std::iter::successors(Some(largest), |n| Some(n / 2).filter(|&n| n > 1)) {
        let whole = whole_up_to(largest, &sizes, &pool, groups);
        let parts = grouped_parts(&labels, classes, &whole, &fractions, options.seed);
        let [val, test, train] = &parts[..] else { return Ok(()) };
        let parts = [(Split::Val, val), (Split::Test, test), (Split::Train, train)];
        let mut fits = true;
        for (split, part) in parts.into_iter().filter(|&(split, _)| is_pool(split)) {
            let (now, before) = (images.select(part)?.class_counts(), dataset.split(split).class_counts());
            // Of several labels, a rare one need not be in every part that is measured.
            let needed = split == Split::Train || images.task() == Task::SingleLabel;
            let least = usize::from(!options.may_lack(split));
            fits &= 2 * part.len() >= dataset.split(split).len().max(least);
            fits &= !needed || now.iter().zip(&before).all(|(&now, &before)| now > 0 || before == 0);
        }
        if !fits {
            continue;
        }
        let mut moved: Vec<Split> = homes.iter().map(|home| home.0).collect();
        for (split, part) in parts {
            for &at in part {
                moved[pool[at]] = split;
            }
        }
        let is_cut = cut(&|i| moved[i]);
        if is_cut >= was_cut {
            continue;
        }
        for (split, part) in parts {
            if !is_pool(split) {
                continue;
            }
            let subset = images.select(part)?;
            for (place, &at) in part.iter().enumerate() {
                homes[pool[at]] = (split, place);
            }
            match split {
                Split::Train => dataset.train = subset,
                Split::Val => dataset.val = subset,
                Split::Test => dataset.test = subset,
            }
        }
        dataset.drawn = Drawn::new(given, Split::ALL.map(|split| dataset.split(split).len()));
        dataset.alike.kept = was_cut - is_cut;
        dataset.alike.cut = is_cut;
        return Ok(());
    }
    dataset.alike.cut = was_cut;
    Ok(())
}

/// Images of each group in the pool.
fn sizes(pool: &[usize], groups: &[u32]) -> BTreeMap<u32, usize> {
    let mut sizes = BTreeMap::new();
    for &i in pool {
        *sizes.entry(groups[i]).or_default() += 1;
    }
    sizes
}

/// The group of each image of the pool; those of more than so many images are none, and their images stand alone.
fn whole_up_to(largest: usize, sizes: &BTreeMap<u32, usize>, pool: &[usize], groups: &[u32]) -> Vec<u32> {
    let alone = groups.len() as u32;
    let own = |(at, &i): (usize, &usize)| {
        if sizes[&groups[i]] > largest { alone + at as u32 } else { groups[i] }
    };
    pool.iter().enumerate().map(own).collect()
}

/// One class for each image and the number of classes: of several labels the rarest, of none a class of its own.
fn labels(targets: &Targets, classes: usize) -> (Vec<u32>, usize) {
    match targets {
        Targets::Classes(labels) => (labels.clone(), classes),
        Targets::Labels(_) => {
            let counts = targets.counts(classes);
            let rarest = |row: &[u32]| row.iter().copied().min_by_key(|&label| counts[label as usize]);
            let labels = (0..targets.len()).map(|i| rarest(targets.row(i)).unwrap_or(classes as u32));
            (labels.collect(), classes + 1)
        }
    }
}

//! Splits of images that have several labels each.

use crate::LabelSets;
use oculist_augment::Rng;

/// "ITER": keeps these draws apart from those of other splits.
const PURPOSE: u64 = 0x4954_4552;

/// Draws disjoint random parts of about `fractions[p]` of the images that show each class, and the rest.
///
/// Returns the positions of each part and, last, of the rest; positions ascend. The class with the fewest images left is
/// served first: each of its images, in an order drawn by the seed, goes to the part that still wants the most of that
/// class, on a tie to the one that wants the most images, then to the last. Images without labels come at the end, each to
/// the part that wants the most. So rare classes, which chance would spread badly, are in proportion within one image where
/// images have one label, and nearly so where they have several. A class of which the rest has got no image gets its first
/// one back from the parts.
///
/// # Source
/// Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", ECML PKDD 2011, algorithm 1. There ties
/// are broken at random; here by the order of the parts, and the images' order is random instead.
pub fn iterative_parts(sets: &LabelSets, fractions: &[f64], seed: u64) -> Vec<Vec<usize>> {
    let (n, classes) = (sets.len(), sets.classes());
    let rest = fractions.len();
    let shares: Vec<f64> =
        fractions.iter().copied().chain([(1.0 - fractions.iter().sum::<f64>()).max(0.0)]).collect();
    let mut order: Vec<usize> = (0..n).collect();
    Rng::keyed(&[seed, PURPOSE]).shuffle(&mut order);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for &i in &order {
        for &label in sets.row(i) {
            members[label as usize].push(i);
        }
    }
    let mut left: Vec<usize> = members.iter().map(Vec::len).collect();
    let mut placing = Placing {
        sets,
        wanted: shares.iter().map(|share| share * n as f64).collect(),
        of_class: shares
            .iter()
            .map(|share| left.iter().map(|&count| share * count as f64).collect())
            .collect(),
        shares,
        home: vec![None; n],
    };
    while let Some(class) = (0..classes).filter(|&class| left[class] > 0).min_by_key(|&class| left[class]) {
        for &i in &members[class] {
            if placing.home[i].is_none() {
                placing.place(i, Some(class));
                for &label in sets.row(i) {
                    left[label as usize] -= 1;
                }
            }
        }
    }
    for &i in &order {
        if placing.home[i].is_none() {
            placing.place(i, None);
        }
    }
    let mut home: Vec<usize> = placing.home.into_iter().map(|home| home.unwrap_or(rest)).collect();
    if placing.shares[rest] > 1e-9 {
        for images in members.iter().filter(|images| !images.is_empty()) {
            if images.iter().all(|&i| home[i] != rest) {
                home[images[0]] = rest;
            }
        }
    }
    let mut parts: Vec<Vec<usize>> = vec![Vec::new(); rest + 1];
    for (i, &part) in home.iter().enumerate() {
        parts[part].push(i);
    }
    parts
}

/// The state of a split in the making.
struct Placing<'a> {
    sets: &'a LabelSets,
    shares: Vec<f64>,
    /// How many images each part still wants.
    wanted: Vec<f64>,
    /// By part and class, how many images of the class the part still wants.
    of_class: Vec<Vec<f64>>,
    home: Vec<Option<usize>>,
}

impl Placing<'_> {
    /// Puts an image where its class, or any image, is wanted most.
    fn place(&mut self, image: usize, class: Option<usize>) {
        let want = |part: usize| (class.map_or(0.0, |class| self.of_class[part][class]), self.wanted[part]);
        let parts = (0..self.shares.len()).rev().filter(|&part| self.shares[part] > 1e-9);
        let best = parts.reduce(|best, part| if want(part) > want(best) { part } else { best });
        let part = best.unwrap_or(self.shares.len() - 1);
        self.home[image] = Some(part);
        self.wanted[part] -= 1.0;
        for &label in self.sets.row(image) {
            self.of_class[part][label as usize] -= 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::stratified_parts;

    /// Images whose class c is there with a chance that falls with c, and some without any.
    fn sets(n: usize, classes: usize) -> LabelSets {
        let mut rng = Rng::keyed(&[77]);
        let mut sets = LabelSets::new(classes);
        for _ in 0..n {
            let labels: Vec<u32> =
                (0..classes as u32).filter(|&c| rng.chance(0.5 / (1.0 + c as f32 * c as f32))).collect();
            sets.push(&labels).unwrap();
        }
        sets
    }

    fn count(sets: &LabelSets, part: &[usize], class: u32) -> usize {
        part.iter().filter(|&&i| sets.row(i).contains(&class)).count()
    }

    #[test]
    fn every_class_and_the_images_are_in_proportion_and_the_seed_decides() {
        let sets = sets(2000, 12);
        let fractions = [0.15, 0.15];
        let parts = iterative_parts(&sets, &fractions, 5);
        let mut all = parts.concat();
        all.sort_unstable();
        assert_eq!(all, (0..2000).collect::<Vec<_>>());
        assert!(parts.iter().all(|part| part.is_sorted()));
        let everyone: Vec<usize> = (0..2000).collect();
        for (part, share) in parts.iter().zip([0.15, 0.15, 0.7]) {
            assert!((part.len() as f64 - share * 2000.0).abs() <= 2.0, "{}", part.len());
            for class in 0..12 {
                let wanted = share * count(&sets, &everyone, class) as f64;
                let found = count(&sets, part, class) as f64;
                assert!((found - wanted).abs() <= 2.0, "class {class}: {found} of {wanted}");
            }
        }
        // The twin: drawn without regard to labels, classes are further off.
        let blind = stratified_parts(&[0; 2000], 1, &fractions, 5);
        let off = |parts: &[Vec<usize>]| {
            let of = |class| {
                let wanted = 0.15 * count(&sets, &everyone, class) as f64;
                (count(&sets, &parts[0], class) as f64 - wanted).abs()
            };
            (0..12).map(of).fold(0.0, f64::max)
        };
        assert!(off(&blind) > 3.0 && off(&parts) <= 2.0, "{} {}", off(&blind), off(&parts));
        assert_eq!(iterative_parts(&sets, &fractions, 5), parts);
        assert_ne!(iterative_parts(&sets, &fractions, 6), parts);
    }

    #[test]
    fn the_rest_has_every_class_and_nothing_goes_where_nothing_is_wanted() {
        for seed in 0..20 {
            let sets = sets(40, 8);
            let parts = iterative_parts(&sets, &[0.6, 0.3], seed);
            for class in 0..8 {
                let any = (0..40).any(|i| sets.row(i).contains(&class));
                assert_eq!(count(&sets, &parts[2], class) > 0, any, "seed {seed}, class {class}");
            }
            let parts = iterative_parts(&sets, &[0.0, 0.25], seed);
            assert!(parts[0].is_empty() && (9..=11).contains(&parts[1].len()), "{parts:?}");
        }
        assert_eq!(iterative_parts(&LabelSets::new(3), &[0.1], 0), [Vec::<usize>::new(), vec![]]);
    }

    #[test]
    fn one_label_an_image_is_ordinary_stratification() {
        let mut sets = LabelSets::new(3);
        (0..100u32).for_each(|i| sets.push(&[if i < 60 { 0 } else { 1 + i % 2 }]).unwrap());
        let parts = iterative_parts(&sets, &[0.1, 0.2], 0);
        for (part, counts) in parts.iter().zip([[6, 2, 2], [12, 4, 4], [42, 14, 14]]) {
            assert_eq!([0, 1, 2].map(|class| count(&sets, part, class)), counts);
        }
    }
}

//! What an operation changes in the answers of a classifier, with a margin for chance.

use oculist_report::{AugmentClass, AugmentPair, AugmentVerdict};

/// Standard errors between an estimate and its lower bound: chance alone goes beyond it once in 740 times.
const MARGIN: f64 = 3.0;
/// A share of a class's images, in percent, below which a change is not spoken of.
const LEAST: f64 = 5.0;

/// A share in percent of net changes among paired answers, and the lower end of its margin.
///
/// Of `n` images, `gained` have a property only after the operation and `lost` only before it:
/// `share = 100 (gained - lost) / n`. The lower end is that of the adjusted interval: half an image is added to each of
/// the four cells of the paired table, and three standard errors are subtracted.
///
/// # Source
/// Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine
/// 24, 2005.
pub(super) fn net_share(gained: usize, lost: usize, n: usize, margin: f64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 0.0);
    }
    let (net, moved) = (gained as f64 - lost as f64, (gained + lost) as f64 + 1.0);
    let m = n as f64 + 2.0;
    let middle = net / m;
    let error = ((moved - net * net / m).max(0.0)).sqrt() / m;
    (100.0 * net / n as f64, 100.0 * (middle - margin * error))
}

/// What so few images can tell, in a sentence; empty where each class has enough of them.
///
/// The least number of images of a class that an operation must change, all in one direction, before [`compare`] speaks of
/// it, is what chance leaves: for 10 images it is 7 of them, for 100 it is 16.
pub(super) fn caution(labels: &[u32]) -> String {
    /// A smaller part of a class goes without a word.
    const PART: usize = 4;
    let mut counts = std::collections::BTreeMap::<u32, usize>::new();
    for label in labels {
        *counts.entry(*label).or_default() += 1;
    }
    let Some(&fewest) = counts.values().min() else { return String::new() };
    let least = (1..=fewest).find(|&changed| net_share(changed, 0, fewest, MARGIN).1 >= LEAST);
    match least {
        Some(changed) if changed * PART <= fewest => String::new(),
        Some(changed) => format!(
            "Few images: in a class of {fewest}, an operation must change {changed} before it can be told from chance, so that \
             \"safe\" says no more than that no such change was seen."
        ),
        None => format!(
            "Too few images: in a class of {fewest}, no change can be told from chance, so that \"safe\" says nothing about it."
        ),
    }
}

/// From so many of the other classes an answer must gain to count as what the classifier says of anything unknown: a
/// third, but at least 3.
fn sink_classes(classes: usize) -> usize {
    (classes - 1).div_ceil(3).max(3)
}

/// Compares answers before and after an operation: each class's accuracy, and the pairs (class, answer) that are more
/// frequent afterwards by more than chance and by at least [`LEAST`] percent of the class, most frequent first.
///
/// Pairs whose answer gains from many classes come last and do not speak for a changed class.
pub(super) fn compare(
    labels: &[u32],
    before: &[usize],
    after: &[usize],
    names: &[String],
) -> (AugmentVerdict, Vec<AugmentClass>, Vec<AugmentPair>) {
    let classes = names.len();
    let mut table = vec![vec![Vec::new(); classes]; classes];
    for ((&label, &old), &new) in labels.iter().zip(before).zip(after) {
        table[label as usize][old].push(new);
    }
    let (mut of_classes, mut pairs) = (Vec::new(), Vec::new());
    for (class, rows) in table.iter().enumerate() {
        let n: usize = rows.iter().map(Vec::len).sum();
        if n == 0 {
            continue;
        }
        // Images with this answer before but not after, after but not before, and before and after.
        let changes = |answer: usize| {
            let old = &rows[answer];
            let kept = old.iter().filter(|&&new| new == answer).count();
            let new = rows.iter().flatten().filter(|&&new| new == answer).count();
            (old.len() - kept, new - kept, old.len(), new)
        };
        let (lost, gained, right, right_after) = changes(class);
        let (drop, drop_low) = net_share(lost, gained, n, MARGIN);
        let percent = |k: usize| 100.0 * k as f64 / n as f64;
        of_classes.push(AugmentClass {
            class: names[class].clone(),
            images: n,
            accuracy: percent(right),
            accuracy_after: percent(right_after),
            drop,
            drop_low,
        });
        for answer in (0..classes).filter(|&answer| answer != class) {
            let (lost, gained, old, new) = changes(answer);
            let (share, share_low) = net_share(gained, lost, n, MARGIN);
            if share_low >= LEAST {
                pairs.push(AugmentPair {
                    class: names[class].clone(),
                    called: names[answer].clone(),
                    before: percent(old),
                    after: percent(new),
                    share,
                    share_low,
                    ..AugmentPair::default()
                });
            }
        }
    }
    let mut from = std::collections::BTreeMap::<String, usize>::new();
    for pair in &pairs {
        *from.entry(pair.called.clone()).or_default() += 1;
    }
    for pair in &mut pairs {
        pair.sink = from[&pair.called] >= sink_classes(classes);
    }
    pairs.sort_by(|a, b| a.sink.cmp(&b.sink).then(b.share.total_cmp(&a.share)));
    let verdict = if pairs.iter().any(|pair| !pair.sink) {
        AugmentVerdict::ChangesClasses
    } else if !pairs.is_empty() || of_classes.iter().any(|c| c.drop_low >= LEAST) {
        AugmentVerdict::Harder
    } else {
        AugmentVerdict::Safe
    };
    (verdict, of_classes, pairs)
}

#[cfg(test)]
mod tests {
    /// The numbers that a caution gives are those at which the comparison speaks.
    #[test]
    fn few_images_are_told_with_what_they_can_tell() {
        let names = ["a", "b"].map(str::to_owned);
        let verdict = |n: usize, changed: usize| {
            let labels = vec![0u32; n];
            let after: Vec<usize> = (0..n).map(|i| usize::from(i < changed)).collect();
            compare(&labels, &vec![0; n], &after, &names).0
        };
        let text = caution(&[0; 12]);
        let least = (1..=12).find(|&changed| verdict(12, changed) != AugmentVerdict::Safe).unwrap();
        assert!(
            text.contains(&format!("in a class of 12, an operation must change {least} before")),
            "{text}"
        );
        assert_eq!(verdict(4, 4), AugmentVerdict::Safe);
        assert!(caution(&[0, 0, 0, 0, 1, 1, 1, 1, 1]).contains("in a class of 4, no change can be told"));
        assert_eq!(caution(&[0; 200]), "");
    }

    use oculist_augment::Rng;

    use super::*;

    fn names(n: usize) -> Vec<String> {
        (0..n).map(|i| format!("c{i}")).collect()
    }

    #[test]
    fn the_lower_end_holds_as_often_as_it_says() {
        // 60 images, of which a tenth changes there and a quarter back on average: -15 of 100; and the other way round.
        let (n, rounds) = (60, 20_000u32);
        for (p_gain, p_loss) in [(0.1, 0.25), (0.25, 0.1), (0.3, 0.05), (0.02, 0.02)] {
            let truth = 100.0 * (p_gain - p_loss);
            let mut rng = Rng::keyed(&[12]);
            let mut above = [0u32, 0];
            for _ in 0..rounds {
                let (mut gained, mut lost) = (0, 0);
                for _ in 0..n {
                    let u = f64::from(rng.uniform());
                    gained += usize::from(u < p_gain);
                    lost += usize::from(u >= p_gain && u < p_gain + p_loss);
                }
                above[0] += u32::from(net_share(gained, lost, n, 1.645).1 > truth);
                above[1] += u32::from(net_share(gained, lost, n, MARGIN).1 > truth);
            }
            // One side of 1.645 standard errors is 5%, of 3 is 0.13%.
            let share = above.map(|n| f64::from(n) / f64::from(rounds));
            assert!(share[0] < 0.075 && share[1] < 0.005, "{p_gain} {p_loss}: {share:?}");
            // Twin: without the margin it would be above the truth in every second case.
            assert!(net_share(9, 3, n, 0.0).1 > 9.0);
        }
    }

    #[test]
    fn few_images_prove_nothing() {
        assert_eq!(net_share(0, 0, 0, MARGIN), (0.0, 0.0));
        assert!(net_share(2, 0, 2, MARGIN).1 < LEAST, "{:?}", net_share(2, 0, 2, MARGIN));
        assert!(net_share(20, 0, 20, MARGIN).1 > 50.0);
        assert!(net_share(0, 0, 100, MARGIN).1 < 0.0);
    }

    #[test]
    fn a_swap_is_named_and_nothing_else() {
        // 40 of each of three classes, all right before; afterwards 0 and 1 have changed places.
        let labels: Vec<u32> = (0..120).map(|i| i % 3).collect();
        let before: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
        let after: Vec<usize> = before.iter().map(|&a| [1, 0, 2][a]).collect();
        let (verdict, classes, pairs) = compare(&labels, &before, &after, &names(3));
        assert_eq!(verdict, AugmentVerdict::ChangesClasses);
        let named: Vec<(&str, &str)> = pairs.iter().map(|p| (&*p.class, &*p.called)).collect();
        assert_eq!(named, [("c0", "c1"), ("c1", "c0")]);
        assert!(pairs.iter().all(|p| (p.share - 100.0).abs() < 1e-9 && p.before.abs() < 1e-9));
        assert!((classes[0].drop - 100.0).abs() < 1e-9 && classes[2].drop.abs() < 1e-9);
        // The same confusion before and after is none of the operation's doing.
        let (verdict, _, pairs) = compare(&labels, &after, &after, &names(3));
        assert!(verdict == AugmentVerdict::Safe && pairs.is_empty());
        // What is unlike all training images gets one answer; a swap besides is still seen.
        let labels: Vec<u32> = (0..400).map(|i| i % 10).collect();
        let before: Vec<usize> = labels.iter().map(|&l| l as usize).collect();
        let (verdict, _, pairs) = compare(&labels, &before, &vec![4; 400], &names(10));
        assert!(verdict == AugmentVerdict::Harder && pairs.len() == 9 && pairs.iter().all(|p| p.sink));
        let after: Vec<usize> = before.iter().map(|&a| if a == 7 { 2 } else { 4 }).collect();
        let (verdict, _, pairs) = compare(&labels, &before, &after, &names(10));
        assert_eq!((verdict, pairs[0].sink, pairs[1].sink), (AugmentVerdict::ChangesClasses, false, true));
        assert_eq!((&*pairs[0].class, &*pairs[0].called), ("c7", "c2"));
        // A loss that spreads over many classes only makes things harder.
        let labels = vec![0; 300];
        let after: Vec<usize> = (0..300).map(|i| if i % 3 == 0 { 1 + i / 3 % 20 } else { 0 }).collect();
        let (verdict, classes, pairs) = compare(&labels, &vec![0; 300], &after, &names(21));
        assert!(verdict == AugmentVerdict::Harder && pairs.is_empty(), "{pairs:?}");
        assert!((classes[0].drop - 100.0 / 3.0).abs() < 1e-9);
    }
}

use super::*;

#[test]
fn strengths_are_spread_evenly() {
    assert_eq!(linspace(0.0, 32.0, 31, 15), 16.0);
    assert_eq!(linspace(1.0, 0.0, 10, 9), 0.0);
    assert_eq!(linspace(0.5, 9.0, 1, 0), 0.5);
    let bits: Vec<f32> = (0..10).map(|i| Magnitude::Bits(8.0, 4.0).value(i, 10, 1, 1)).collect();
    assert_eq!(bits, [8.0, 8.0, 7.0, 7.0, 6.0, 6.0, 5.0, 5.0, 4.0, 4.0]);
}

#[test]
fn every_action_of_the_tables_has_strengths() {
    for pair in [CIFAR10, IMAGE_NET, SVHN].into_iter().flatten() {
        for (action, probability, bin) in pair {
            let (_, magnitude) = AUTO_AUGMENT.iter().find(|(other, _)| other == action).unwrap();
            assert!((0.0..=1.0).contains(probability) && *bin < 10);
            assert!(*magnitude != Magnitude::None || *bin == 0);
        }
    }
}

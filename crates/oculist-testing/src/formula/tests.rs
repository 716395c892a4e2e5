use super::*;

#[test]
fn hash_and_values_equal_pythons() {
    // Printed by golden/formula.py: hash, then elements 0, 1, 2 and 999.
    let pinned: [(&str, u64, [f32; 4]); 4] = [
        ("input", 0x1ebb_ae8f_5810_b65b, [-0.80436337, 0.30472076, -0.5927515, 0.18869281]),
        ("conv1.weight", 0x69a2_9a2c_ee47_d254, [0.09014988, 0.49032342, -0.95415664, -0.9683285]),
        ("layer1.0.bn1.running_var", 0x7a52_8b41_ea8d_6939, [0.29248202, 0.6765629, 0.56248844, -0.89025986]),
        ("", 0xcbf2_9ce4_8422_2325, [0.52738905, -0.8746078, -0.3377794, 0.32195115]),
    ];
    for (name, hash, values) in pinned {
        assert_eq!(fnv1a64(name), hash, "{name}");
        let got = tensor(name, 1000);
        assert_eq!([got[0], got[1], got[2], got[999]], values, "{name}");
    }
}

/// Name, shape, centre of gamma; bits of the first, second and last element, sum of all bits.
type Pinned = (&'static str, &'static [usize], f32, [u32; 3], u64);

#[test]
fn scaled_parameters_equal_numpys_bit_for_bit() {
    // Printed by golden/formula.py.
    let pinned: [Pinned; 6] = [
        ("conv1.weight", &[4, 3, 5, 5], 1.0, [0x3cd0_e1ae, 0x3e0e_0349, 0x3dd0_d2a3], 0x96_fbac_1ff4),
        ("fc.weight", &[3, 7], 1.0, [0xbce8_e70c, 0x3f30_7695, 0x3f53_2929], 0xb_2891_489c),
        ("fc.bias", &[7], 1.0, [0xbb92_76e7, 0xbb7c_8d67, 0xbdaa_f5f0], 0x4_a895_96f8),
        ("bn.weight", &[6], 0.7, [0x3f38_e170, 0x3f28_31f8, 0x3f36_17dd], 0x1_7b49_56cb),
        ("bn.running_mean", &[6], 1.0, [0x3dad_7c0a, 0x3cf7_b25a, 0x3dc9_90b0], 0x2_7159_aa1a),
        ("bn.running_var", &[6], 1.0, [0x3fae_4ad8, 0x3f5d_2f34, 0x3f11_ba8a], 0x1_7c08_5ac4),
    ];
    for (name, shape, gamma, bits, sum) in pinned {
        let got: Vec<u32> = state(name, shape, gamma).into_iter().map(f32::to_bits).collect();
        assert_eq!([got[0], got[1], got[got.len() - 1]], bits, "{name}");
        assert_eq!(got.iter().copied().map(u64::from).sum::<u64>(), sum, "{name}");
    }
}

#[test]
fn values_fill_the_interval_evenly() {
    let values = tensor("input", 100_000);
    assert!(values.iter().all(|v| (-1.0..1.0).contains(v)));
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / 1e5;
    let square = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / 1e5;
    assert!(mean.abs() < 0.01, "mean {mean}");
    assert!((square - 1.0 / 3.0).abs() < 0.01, "mean square {square}");
}

#[test]
fn tensors_of_different_names_differ() {
    assert_ne!(tensor("layer1.0.conv1.weight", 8), tensor("layer1.0.conv2.weight", 8));
}

#[test]
fn the_kind_follows_from_name_and_rank() {
    assert_eq!(Kind::of("layer1.0.conv1.weight", 4, 0.7), Some(Kind::Weight));
    assert_eq!(Kind::of("layer1.0.bn1.weight", 1, 0.7), Some(Kind::Gamma(0.7)));
    assert_eq!(Kind::of("fc.bias", 1, 0.7), Some(Kind::Bias));
    assert_eq!(Kind::of("bn1.num_batches_tracked", 0, 0.7), None);
}

#[test]
#[should_panic(expected = "no formula")]
fn an_entry_without_formula_is_refused() {
    state("bn1.num_batches_tracked", &[], 1.0);
}

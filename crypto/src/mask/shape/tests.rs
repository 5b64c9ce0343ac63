use super::*;
use crate::mask::tests::integer;
use proptest::prelude::*;

#[test]
fn shapes_out_of_bounds_are_refused_also_from_bytes() {
    assert_eq!(Shape::new(0, 1, 31), Err(ShapeError::Rows(0)));
    assert_eq!(Shape::new(MAX_DATA_ROWS + 1, 1, 31), Err(ShapeError::Rows(MAX_DATA_ROWS + 1)));
    assert_eq!(Shape::new(1, 0, 31), Err(ShapeError::Columns(0)));
    assert_eq!(Shape::new(1, MAX_COLUMNS + 1, 31), Err(ShapeError::Columns(MAX_COLUMNS + 1)));
    assert_eq!(Shape::new(1, 1, 1), Err(ShapeError::LaneBits(1)));
    assert_eq!(Shape::new(1, 1, 251), Err(ShapeError::LaneBits(251)));
    assert!(matches!(Shape::new(MAX_DATA_ROWS, MAX_COLUMNS, 31), Err(ShapeError::Scalars(_))));

    let shape = Shape::new(1024, 1024, 31).expect("valid");
    assert_eq!((shape.lanes(), shape.packed()), (8, 128));
    // The largest delta there is.
    assert!(Shape::new(2048, 4096, 31).is_ok_and(|shape| shape.scalars() == (1 << 20) + 512));
    assert_eq!((Shape::ballot(3).lanes(), Shape::ballot(3).packed()), (1, 1));
    assert_eq!(Shape::from_bytes(&shape.to_bytes()), Ok(shape));
    assert!(Shape::from_bytes(&[0; 10]).is_err());
}

#[test]
fn lane_borders_unpack_to_themselves() {
    for (columns, bits) in [(1, 250), (1, 64), (3, 64), (8, 31), (5, 50), (7, 2), (125, 2), (2, 63)] {
        let shape = Shape::new(1, columns, bits).expect("valid");
        let (low, high) = match bits {
            64.. => (i64::MIN, i64::MAX),
            _ => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        };
        for entry in [low, low + 1, -1, 0, 1, high - 1, high] {
            for other in [low, 0, high] {
                let row: Vec<_> = (0..columns).map(|at| if at % 2 == 0 { entry } else { other }).collect();
                let scalars: Vec<_> = row.iter().map(|value| integer(*value)).collect();
                assert_eq!(shape.unpack(&pack(&shape, &scalars)), Some(row), "{shape:?}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_the_last_lane_or_64_bits_is_refused() {
    let shape = Shape::new(1, 8, 31).expect("valid");
    let mut row = vec![Scalar::ZERO; 8];
    row[7] = integer(1 << 30);
    assert_eq!(shape.unpack(&pack(&shape, &row)), None);
    row[7] = integer(-(1 << 30) - 1);
    assert_eq!(shape.unpack(&pack(&shape, &row)), None);

    // The first lane borrows from the second: this is for the check of the sum to find.
    let row: Vec<_> = [1 << 30, 0, 0, 0, 0, 0, 0, 0].map(integer).to_vec();
    assert_eq!(shape.unpack(&pack(&shape, &row)), Some(vec![-(1 << 30), 1, 0, 0, 0, 0, 0, 0]));

    let ballot = Shape::ballot(1);
    let past = Scalar::from(1u128 << 63);
    assert_eq!(ballot.unpack(&[past]), None);
    assert_eq!(ballot.unpack(&[-past]), Some(vec![i64::MIN]));
    assert_eq!(ballot.unpack(&[-past - Scalar::ONE]), None);
    assert_eq!(ballot.unpack(&[ballot.lane_unit()]), None);
    assert_eq!(ballot.unpack(&[Scalar::ONE, Scalar::ONE]), None);
}

proptest! {
    #[test]
    fn unpacking_inverts_packing(bits in 2u16..=64, row in proptest::collection::vec(any::<i64>(), 1..40)) {
        let shape = Shape::new(1, u32::try_from(row.len()).expect("short"), bits).expect("valid");
        let row: Vec<_> = row.iter().map(|entry| entry >> (64 - bits)).collect();
        let scalars: Vec<_> = row.iter().map(|entry| integer(*entry)).collect();

        let packed = pack(&shape, &scalars);

        prop_assert_eq!(packed.len(), shape.packed());
        prop_assert_eq!(shape.unpack(&packed), Some(row));
    }

    #[test]
    fn unpacking_never_panics_and_what_it_returns_packs_back(bytes: [u8; 32], bits in 2u16..=250) {
        let scalar = Scalar::from_bytes_mod_order(bytes);
        let lanes = 250 / u32::from(bits);
        let shape = Shape::new(1, lanes, bits).expect("valid");
        if let Some(entries) = shape.unpack(&[scalar]) {
            let entries: Vec<_> = entries.into_iter().map(integer).collect();
            prop_assert_eq!(pack(&shape, &entries), vec![scalar]);
        }
    }
}

//! Lagrange's four squares: the slack that makes a norm of at most B one of exactly B.
//!
//! Rabin and Shallit (*Randomized algorithms in number theory*, 1986): draw x and y of the right parity until
//! `p = n − x² − y²` is a prime that is 1 mod 4, about 22 draws for 62 bits; then p is the sum of two squares, found
//! from a square root of −1 by Euclid's algorithm (Cornacchia). Which of the many representations comes out does not
//! matter: it is only ever committed to.
//!
//! Not constant time: the number of draws depends on n as well as on the randomness.

use rand_core::CryptoRng;

/// Numbers below this are decomposed by trying: among larger ones every residue has plenty of primes to find.
const SMALL: u64 = 1 << 10;

/// Bases that decide primality of every 64-bit number (Sorenson, Webster, 2015).
const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];

/// Returns four integers whose squares add up to `number`.
///
/// # Panics
///
/// Panics if `number` is 2^62 or more.
pub fn four_squares(number: u64, rng: &mut (impl CryptoRng + ?Sized)) -> [u32; 4] {
    assert!(number < 1 << 62, "squares of 31-bit numbers");
    // A number divisible by four has squares of even numbers; draws of one parity would not find them.
    let halvings = if number == 0 { 0 } else { number.trailing_zeros() / 2 };
    let core = number >> (2 * halvings);
    let roots = if core < SMALL { by_trying(core) } else { by_drawing(core, rng) };
    roots.map(|root| u32::try_from(root << halvings).expect("a root of a number below 2^62"))
}

fn by_trying(number: u64) -> [u64; 4] {
    let root = number.isqrt();
    (0..=root)
        .rev()
        .flat_map(|a| (0..=a).map(move |b| (a, b)))
        .filter_map(|(a, b)| Some((a, b, number.checked_sub(a * a + b * b)?)))
        .find_map(|(a, b, rest)| {
            (0..=rest.isqrt())
                .map(|c| (c, rest - c * c))
                .find(|(_, rest)| is_square(*rest))
                .map(|(c, rest)| [a, b, c, rest.isqrt()])
        })
        .expect("Lagrange: every number is the sum of four squares")
}

fn is_square(number: u64) -> bool {
    number.isqrt().pow(2) == number
}

/// For a number that four does not divide.
fn by_drawing(number: u64, rng: &mut (impl CryptoRng + ?Sized)) -> [u64; 4] {
    // An even square is 0 mod 4 and an odd one 1, so this many odd ones leave 1.
    let (first_odd, second_odd) = match number % 4 {
        1 => (0, 0),
        2 => (0, 1),
        _ => (1, 1),
    };
    loop {
        let x = draw(number.isqrt(), first_odd, rng);
        let Some(rest) = number.checked_sub(x * x) else { continue };
        let y = draw(rest.isqrt(), second_odd, rng);
        let Some(prime) = rest.checked_sub(y * y) else { continue };
        if is_prime(prime) {
            let (z, w) = two_squares(prime);
            return [x, y, z, w];
        }
    }
}

/// Returns a number of at most `largest`, or one more, with the given parity.
fn draw(largest: u64, parity: u64, rng: &mut (impl CryptoRng + ?Sized)) -> u64 {
    let mut bytes = [0; 8];
    rng.fill_bytes(&mut bytes);
    (u64::from_le_bytes(bytes) % (largest + 1)) & !1 | parity
}

/// Returns `(z, w)` with `z² + w² = prime`, for a prime that is 1 mod 4.
fn two_squares(prime: u64) -> (u64, u64) {
    // Half of all numbers are no squares; the smallest is small.
    let root = (2..)
        .map(|base| power(base, (prime - 1) / 4, prime))
        .find(|root| multiply(*root, *root, prime) == prime - 1)
        .expect("a field of odd order has elements that are no squares");
    let (mut larger, mut smaller) = (prime, root);
    while u128::from(smaller).pow(2) > u128::from(prime) {
        (larger, smaller) = (smaller, larger % smaller);
    }
    (smaller, (prime - smaller * smaller).isqrt())
}

/// Miller and Rabin's test.
fn is_prime(number: u64) -> bool {
    if let Some(divisor) = BASES.iter().find(|base| number.is_multiple_of(**base)) {
        return number == *divisor;
    }
    if number < 41 * 41 {
        return number > 1;
    }
    let twos = (number - 1).trailing_zeros();
    BASES.iter().all(|base| {
        let mut value = power(*base, (number - 1) >> twos, number);
        let mut passes = value == 1 || value == number - 1;
        for _ in 1..twos {
            value = multiply(value, value, number);
            passes |= value == number - 1;
        }
        passes
    })
}

fn power(base: u64, exponent: u64, modulus: u64) -> u64 {
    let bits = 64 - exponent.leading_zeros();
    (0..bits).rev().fold(1, |value, bit| {
        let square = multiply(value, value, modulus);
        if exponent >> bit & 1 == 1 { multiply(square, base, modulus) } else { square }
    })
}

fn multiply(a: u64, b: u64, modulus: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) % u128::from(modulus)).expect("reduced")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng as _};

    use super::*;

    fn adds_up(number: u64, seed: u64) -> bool {
        let roots = four_squares(number, &mut ChaCha20Rng::seed_from_u64(seed));
        roots.iter().map(|root| u64::from(*root).pow(2)).sum::<u64>() == number
    }

    #[test]
    fn every_number_up_to_65536_and_around_every_power_of_two_is_the_sum_of_its_four_squares() {
        assert!((0..1 << 16).all(|number| adds_up(number, number)));
        for exponent in 16..62 {
            let power = 1u64 << exponent;
            assert!((power - 70..power + 70).filter(|number| *number < 1 << 62).all(|number| adds_up(number, 1)));
        }
    }

    #[test]
    fn primes_are_told_from_other_numbers() {
        let by_division =
            |number: u64| number > 1 && (2..=number.isqrt()).all(|divisor| !number.is_multiple_of(divisor));
        assert!((0..20_000).all(|number| is_prime(number) == by_division(number)));
        // Strong pseudoprimes to the first bases, and the largest primes of their length.
        for composite in [3_215_031_751, 3_825_123_056_546_413_051, (1 << 62) - 1] {
            assert!(!is_prime(composite));
        }
        assert!(is_prime((1 << 61) - 1) && is_prime((1 << 62) - 57));
    }

    proptest! {
        #[test]
        fn numbers_of_every_length_are_the_sums_of_their_four_squares(number in 0u64..1 << 62, shift in 0u32..62, seed: u64) {
            prop_assert!(adds_up(number >> shift, seed));
            prop_assert!(adds_up(number >> shift << shift, seed));
        }
    }
}

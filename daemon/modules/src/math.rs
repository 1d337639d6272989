//! The module `math`: what a standard library of numbers lacks. Standard functions stay as they are; random numbers
//! come from the VM's own generator.

use sloth_lua::{Args, Data, Failure, Function, Module, Param, Reply, Tier, Type};

use crate::describe::{give, integer, list, luau, may, named, need, number, pure};

/// The module `math`: added to the standard table of that name.
pub const MODULE: Module = Module {
    name: "math",
    aliases: &[],
    tier: Tier::Here,
    about: "Numbers: the standard functions, statistics and number theory.",
    functions: FUNCTIONS,
    prelude: include_str!("math.luau"),
};

const X: &[Param] = &[need("x", Type::Num)];
const LIST: &[Param] = &[named("list", &["t"], Type::List)];
const PAIR: &[Param] = &[need("a", Type::Num), need("b", Type::Num)];

const FUNCTIONS: &[Function] = &[
    pure(
        "round",
        &[need("x", Type::Num), may("digits", Type::Int, "0")],
        "number",
        "Rounded, halves away from 0.",
        round,
    ),
    pure(
        "clamp",
        &[need("x", Type::Num), need("min", Type::Num), need("max", Type::Num)],
        "number",
        "Moved into a range.",
        clamp,
    ),
    pure("cbrt", X, "number", "Cube root.", |a| give(number(a, "x")?.cbrt())),
    pure("sum", LIST, "number", "Sum of a list.", |a| give(numbers(a)?.iter().sum::<f64>())),
    pure("mean", LIST, "number", "Arithmetic mean; nil for an empty list.", |a| optional(mean(&numbers(a)?))),
    pure("median", LIST, "number", "Middle value; nil for an empty list.", |a| optional(quantile(&numbers(a)?, 50.0))),
    pure("mode", LIST, "number", "Most frequent value, the first of several; nil for an empty list.", |a| {
        optional(mode(&numbers(a)?))
    }),
    pure("std_dev", LIST, "number", "Standard deviation of the list as a population.", |a| {
        optional(variance(&numbers(a)?).map(f64::sqrt))
    }),
    pure("variance", LIST, "number", "Variance of the list as a population.", |a| optional(variance(&numbers(a)?))),
    pure(
        "percentile",
        &[named("list", &["t"], Type::List), need("p", Type::Num)],
        "number",
        "Value below which `p` percent are, interpolated.",
        percentile,
    ),
    pure("gcd", PAIR, "number", "Greatest common divisor.", |a| give(gcd(integer(a, "a")?, integer(a, "b")?))),
    pure("lcm", PAIR, "number", "Least common multiple.", |a| give(lcm(integer(a, "a")?, integer(a, "b")?))),
    pure("factorial", &[need("n", Type::Int)], "number", "Product of 1 to n, n at most 170.", factorial),
    pure("is_prime", &[need("n", Type::Int)], "boolean", "Whether an integer is prime.", |a| {
        give(is_prime(integer(a, "n")?))
    }),
    luau("random_int", &[need("a", Type::Int), need("b", Type::Int)], "number", "A random integer from a to b."),
    luau("random_float", &[may("a", Type::Num, "0"), may("b", Type::Num, "1")], "number", "A random number."),
    luau("seed", &[need("n", Type::Int)], "()", "Makes the following random numbers repeatable."),
];

fn numbers(args: &Args) -> Result<Vec<f64>, Failure> {
    let number = |(index, item): (usize, Data)| match &item {
        Data::Num(number) => Ok(*number),
        item => item.to_text().and_then(|text| text.trim().parse().ok()).ok_or_else(|| {
            Failure::argument("list", format_args!("item {} is a {}, not a number", index + 1, item.type_name()))
        }),
    };
    list(args, "list")?.into_iter().enumerate().map(number).collect()
}

/// A value, or nothing and the reason.
fn optional(value: Option<f64>) -> Reply {
    value.map(Data::Num).map_or_else(|| Err(Failure::new("the list is empty")), give)
}

fn round(args: &Args) -> Reply {
    let (x, digits) = (number(args, "x")?, args.int("digits").unwrap_or(0));
    let Ok(digits) = i32::try_from(digits.clamp(-400, 400)) else { return give(x) };
    let scaled = x * 10f64.powi(digits);
    // Too large to have such digits, or too small for any.
    if !scaled.is_finite() {
        return give(x);
    }
    give(if digits >= 0 { scaled.round() / 10f64.powi(digits) } else { scaled.round() * 10f64.powi(-digits) })
}

fn clamp(args: &Args) -> Reply {
    let (x, min, max) = (number(args, "x")?, number(args, "min")?, number(args, "max")?);
    if min > max || min.is_nan() || max.is_nan() {
        return Err(Failure::argument("max", format_args!("{max} is below {min}")));
    }
    give(x.clamp(min, max))
}

#[allow(clippy::cast_precision_loss)] // a list has fewer than 2^53 items
fn mean(numbers: &[f64]) -> Option<f64> {
    (!numbers.is_empty()).then(|| numbers.iter().sum::<f64>() / numbers.len() as f64)
}

fn variance(numbers: &[f64]) -> Option<f64> {
    let middle = mean(numbers)?;
    mean(&numbers.iter().map(|number| (number - middle).powi(2)).collect::<Vec<_>>())
}

fn mode(numbers: &[f64]) -> Option<f64> {
    let mut sorted: Vec<(usize, f64)> = numbers.iter().copied().enumerate().collect();
    sorted.sort_by(|a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0)));
    let runs = sorted.chunk_by(|a, b| a.1.total_cmp(&b.1).is_eq());
    runs.max_by(|a, b| a.len().cmp(&b.len()).then(b[0].0.cmp(&a[0].0))).map(|run| run[0].1)
}

/// Linear interpolation between the closest ranks, as most tools do it.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // small and positive
fn quantile(numbers: &[f64], percent: f64) -> Option<f64> {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().checked_sub(1)?;
    let rank = percent / 100.0 * last as f64;
    let (below, above) = (sorted[rank.floor() as usize], sorted[(rank.ceil() as usize).min(last)]);
    Some(below + (above - below) * rank.fract())
}

fn percentile(args: &Args) -> Reply {
    let percent = number(args, "p")?;
    if !(0.0..=100.0).contains(&percent) {
        return Err(Failure::argument("p", "0 to 100 expected"));
    }
    optional(quantile(&numbers(args)?, percent))
}

fn gcd(a: i64, b: i64) -> u64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[allow(clippy::cast_precision_loss)] // Lua has doubles only
fn lcm(a: i64, b: i64) -> f64 {
    match gcd(a, b) {
        0 => 0.0,
        divisor => (a.unsigned_abs() / divisor) as f64 * b.unsigned_abs() as f64,
    }
}

fn factorial(args: &Args) -> Reply {
    match integer(args, "n")? {
        n @ 0..=170 => {
            give((1..=n).fold(1.0, |product, factor| product * f64::from(i32::try_from(factor).unwrap_or(0))))
        }
        _ => Err(Failure::argument("n", "0 to 170 expected")),
    }
}

/// Miller-Rabin with the bases that decide all 64 bit numbers.
fn is_prime(n: i64) -> bool {
    const BASES: [u64; 12] = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37];
    let Ok(n) = u64::try_from(n) else { return false };
    if n < 2 {
        return false;
    }
    if let Some(base) = BASES.iter().find(|base| n % **base == 0) {
        return n == *base;
    }
    let twos = (n - 1).trailing_zeros();
    let odd = (n - 1) >> twos;
    BASES.iter().all(|base| {
        let mut x = power(*base, odd, n);
        x == 1
            || (0..twos).any(|_| {
                let found = x == n - 1;
                x = times(x, x, n);
                found
            })
    })
}

fn times(a: u64, b: u64, modulus: u64) -> u64 {
    u64::try_from(u128::from(a) * u128::from(b) % u128::from(modulus)).expect("below the modulus")
}

fn power(base: u64, mut exponent: u64, modulus: u64) -> u64 {
    let (mut result, mut square) = (1, base % modulus);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, square, modulus);
        }
        square = times(square, square, modulus);
        exponent >>= 1;
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn call(body: fn(&Args) -> Reply, args: Args) -> f64 {
        match body(&args).unwrap()[0] {
            Data::Num(number) => number,
            ref other => panic!("{other:?}"),
        }
    }

    #[test]
    fn rounding() {
        let rounded = |x: f64, digits: f64| call(round, Args::default().with("x", x).with("digits", digits));
        assert_eq!(rounded(2.5, 0.0), 3.0);
        assert_eq!(rounded(-2.5, 0.0), -3.0);
        assert_eq!(rounded(1.2345, 2.0), 1.23);
        assert_eq!(rounded(1234.0, -2.0), 1200.0);
        assert_eq!(rounded(1e300, 300.0), 1e300);
        assert_eq!(rounded(f64::INFINITY, 2.0), f64::INFINITY);
    }

    #[test]
    fn statistics() {
        let list = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!(mean(&list), Some(5.0));
        assert_eq!(variance(&list), Some(4.0));
        assert_eq!(mode(&list), Some(4.0));
        assert_eq!(mode(&[3.0, 1.0, 3.0, 1.0]), Some(3.0), "the first of several");
        assert_eq!(quantile(&list, 50.0), Some(4.5));
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 25.0), Some(1.75));
        assert_eq!(quantile(&[7.0], 100.0), Some(7.0));
        assert_eq!(mean(&[]), None);
        assert!(optional(None).unwrap_err().message.contains("empty"));
    }

    #[test]
    fn number_theory() {
        assert_eq!((gcd(-12, 18), gcd(0, 0), gcd(i64::MIN, 2)), (6, 0, 2));
        assert_eq!(lcm(4, 6), 12.0);
        assert_eq!(call(factorial, Args::default().with("n", 5.0)), 120.0);
        assert!(factorial(&Args::default().with("n", 171.0)).unwrap_err().raise);
        let primes: Vec<i64> = (0..60).filter(|n| is_prime(*n)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59]);
        // A Carmichael number, a strong pseudoprime to the first bases, and the largest prime below 2^53.
        assert!(!is_prime(561) && !is_prime(3_215_031_751) && is_prime(9_007_199_254_740_881));
    }

    proptest! {
        #[test]
        fn a_prime_has_no_divisor(n in 2i64..20_000) {
            prop_assert_eq!(is_prime(n), (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0));
        }

        #[test]
        fn a_quantile_is_within(list in proptest::collection::vec(-1e6f64..1e6, 1..40), p in 0.0f64..=100.0) {
            let value = quantile(&list, p).unwrap();
            let (min, max) = list.iter().fold((f64::MAX, f64::MIN), |(min, max), n| (min.min(*n), max.max(*n)));
            prop_assert!((min..=max).contains(&value));
        }
    }
}

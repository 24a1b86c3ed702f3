//! The standard's random values: strings, last names (clause 4.3.2), non-uniform numbers (clause 2.1.6).

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const SYLLABLES: [&str; 10] = ["BAR", "OUGHT", "ABLE", "PRI", "PRES", "ESE", "ANTI", "CALLY", "ATION", "EING"];

/// The constants C of NURand, one per field, the same for all terminals of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Constants {
    /// For C_LAST, with A = 255.
    pub(super) last: i32,
    /// For C_ID, with A = 1023.
    pub(super) customer: i32,
    /// For OL_I_ID, with A = 8191.
    pub(super) item: i32,
}

impl Constants {
    /// For a load: only C-Load of C_LAST matters.
    pub(super) fn of_load(source: &mut Source) -> Constants {
        Constants { last: source.uniform(0, 255), customer: source.uniform(0, 1023), item: source.uniform(0, 8191) }
    }

    /// For a run on a load with this C-Load: C-Run must differ from it by 65 to 119, but not by 96 or 112 (clause 2.1.6.1).
    pub(super) fn of_run(source: &mut Source, load: i32) -> Constants {
        let last = loop {
            let last = source.uniform(0, 255);
            let delta = (last - load).abs();
            if (65..=119).contains(&delta) && delta != 96 && delta != 112 {
                break last;
            }
        };
        Constants { last, ..Constants::of_load(source) }
    }
}

/// A stream of random values.
#[derive(Debug)]
pub(super) struct Source {
    rng: SmallRng,
}

impl Source {
    /// Streams of one seed and different numbers have nothing to do with each other.
    pub(super) fn new(seed: u64, stream: u64) -> Source {
        Source { rng: SmallRng::seed_from_u64(seed.wrapping_add(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15))) }
    }

    /// Between both, inclusive.
    pub(super) fn uniform(&mut self, low: i32, high: i32) -> i32 {
        self.rng.random_range(low..=high)
    }

    pub(super) fn percent(&mut self, percent: i32) -> bool {
        self.uniform(1, 100) <= percent
    }

    /// Between 0 (exclusive) and 1, for negative exponential think times.
    pub(super) fn fraction(&mut self) -> f64 {
        1.0 - self.rng.random::<f64>()
    }

    fn non_uniform(&mut self, a: i32, c: i32, low: i32, high: i32) -> i32 {
        (((self.uniform(0, a) | self.uniform(low, high)) + c) % (high - low + 1)) + low
    }

    pub(super) fn customer(&mut self, constants: &Constants, customers: i32) -> i32 {
        self.non_uniform(1023, constants.customer, 1, customers)
    }

    pub(super) fn item(&mut self, constants: &Constants, items: i32) -> i32 {
        self.non_uniform(8191, constants.item, 1, items)
    }

    /// The number of a last name: of 1,000, or of as many as a smaller population has.
    pub(super) fn last(&mut self, constants: &Constants, customers: i32) -> i32 {
        self.non_uniform(255, constants.last, 0, customers.min(1000) - 1)
    }

    /// "a-string": letters and digits.
    pub(super) fn letters(&mut self, low: i32, high: i32) -> String {
        let length = self.uniform(low, high);
        (0..length).map(|_| char::from(LETTERS[self.rng.random_range(0..LETTERS.len())])).collect()
    }

    /// "n-string": digits.
    pub(super) fn digits(&mut self, length: i32) -> String {
        (0..length).map(|_| char::from(b'0' + self.rng.random_range(0..10u8))).collect()
    }

    pub(super) fn zip(&mut self) -> String {
        self.digits(4) + "11111"
    }

    pub(super) fn state(&mut self) -> String {
        (0..2).map(|_| char::from(b'A' + self.rng.random_range(0..26u8))).collect()
    }

    /// I_DATA and S_DATA: 26 to 50 letters, with "ORIGINAL" somewhere in them if so wanted.
    pub(super) fn data(&mut self, original: bool) -> String {
        let mut data = self.letters(26, 50);
        if original {
            let at = self.rng.random_range(0..=data.len() - 8);
            data.replace_range(at..at + 8, "ORIGINAL");
        }
        data
    }

    /// The numbers 1 to `count` in random order.
    pub(super) fn permutation(&mut self, count: i32) -> Vec<i32> {
        let mut numbers: Vec<i32> = (1..=count).collect();
        self.shuffle(&mut numbers);
        numbers
    }

    pub(super) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.rng.random_range(0..=i));
        }
    }

    /// True for exactly a tenth of so many, at random.
    pub(super) fn tenth(&mut self, count: i32) -> Vec<bool> {
        let mut chosen: Vec<bool> = (0..count).map(|i| i < count / 10).collect();
        self.shuffle(&mut chosen);
        chosen
    }
}

/// C_LAST of a number from 0 to 999: a syllable per digit.
pub(super) fn last_name(number: i32) -> String {
    [number / 100, number / 10 % 10, number % 10].map(|digit| SYLLABLES[digit as usize]).concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_names_are_the_standards() {
        assert_eq!(last_name(371), "PRICALLYOUGHT");
        assert_eq!(last_name(40), "BARPRESBAR");
        assert_eq!(last_name(999), "EINGEINGEING");
    }

    #[test]
    fn values_stay_in_their_ranges_and_numbers_are_not_uniform() {
        let mut source = Source::new(1, 2);
        for load in [0, 60, 128, 200, 255] {
            for _ in 0..100 {
                let delta = (Constants::of_run(&mut source, load).last - load).abs();
                assert!((65..=119).contains(&delta) && delta != 96 && delta != 112);
            }
        }
        let constants = Constants::of_load(&mut source);
        let mut hits = vec![0u32; 3001];
        for _ in 0..100_000 {
            hits[source.customer(&constants, 3000) as usize] += 1;
            assert!((1..=100_000).contains(&source.item(&constants, 100_000)));
            assert!((0..=999).contains(&source.last(&constants, 3000)));
            assert!((0..=299).contains(&source.last(&constants, 300)));
        }
        assert_eq!(hits[0], 0);
        // A uniform draw would give about 33 each; ORing concentrates on numbers with many bits set.
        assert!(hits.iter().max().unwrap() > &150, "{:?}", hits.iter().max());
        assert_eq!(source.tenth(3000).iter().filter(|chosen| **chosen).count(), 300);
        let original = source.data(true);
        assert!(original.contains("ORIGINAL") && (26..=50).contains(&original.len()));
        let mut permutation = source.permutation(50);
        permutation.sort_unstable();
        assert_eq!(permutation, (1..=50).collect::<Vec<_>>());
    }
}

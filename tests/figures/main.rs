//! Prints figures.

mod ballot;
mod figure;

fn main() {
    for figure in ballot::figures() {
        let bound = figure.bound.as_deref().unwrap_or_default();
        println!("{:<60} {:>14.6} {} {bound} {:?}", figure.name, figure.value, figure.unit, figure.holds);
    }
}

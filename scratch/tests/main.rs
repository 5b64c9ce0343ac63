mod cohorts;
#[test]
fn write_vectors() {
    for (name, suite) in chorus_tests::vectors::suites().into_iter().filter(|(name, _)| *name == "convening") {
        for case in suite.cases() {
            assert_eq!(chorus_tests::vectors::accepts(name, &case.values), case.breaks.is_none(), "{}: {:?}", case.name, case.breaks);
        }
        std::fs::write(format!("{}/../tests/vectors/{name}.json", env!("CARGO_MANIFEST_DIR")), suite.to_json()).unwrap();
    }
}

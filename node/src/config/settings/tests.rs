use super::{super::profile::Relaying, *};

fn file() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("config.toml");
    (folder, path)
}

/// A value that each setting takes, other than the usual one.
fn example(name: Name) -> &'static str {
    match name {
        Name::Level => "open",
        Name::Participation => "basic",
        Name::Diary => "off",
        Name::BaseModel => "/models/tiny",
        Name::AllowList => "/members.txt",
        Name::Hook => "http://127.0.0.1:9/check",
        Name::HookTimeout => "5",
        Name::Profile => "server",
        Name::Listen => "/ip4/127.0.0.1/tcp/4101,/ip6/::1/udp/4101/quic-v1",
        Name::Dial | Name::Announce => "/dns4/node.example.org/tcp/4101",
        Name::Mdns | Name::Upnp => "off",
        Name::Relay => "serve",
        Name::RelayBlobs => "on",
        Name::Connections | Name::ConnectionsPerAddress => "7",
        Name::Mesh => "3",
        Name::Upload | Name::Download => "250kB/s",
        Name::Monthly | Name::Memory | Name::Blobs => "3GiB",
        Name::MetricsAddress => "127.0.0.1:9464",
        Name::ModelProvider => "outside",
        Name::ModelPath => "/models/small",
        Name::ModelUrl => "https://models.example.org/v1",
        Name::ModelName => "large",
        Name::ModelKeyFile => "/keys/model",
        Name::ModelContext => "4096",
        Name::ModelMaxTokens => "64",
    }
}

#[test]
fn every_setting_that_is_set_is_read_again_and_can_be_set_from_the_environment() {
    let (_folder, path) = file();
    assert_eq!(Settings::read_file(&path).expect("as usual"), Settings::default());
    let mut settings = Settings::default();
    for name in Name::value_variants() {
        settings.set(*name, example(*name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    settings.write(&path).expect("written");

    let read = Settings::read_file(&path).expect("read");
    let variables = |variable: &str| {
        let name = Name::value_variants().iter().find(|name| name.variable() == variable);
        name.map(|name| example(*name).to_owned())
    };
    let from_environment = Settings::default().overridden(variables).expect("understood");

    assert_eq!((&read, &from_environment), (&settings, &settings));
    for name in Name::value_variants() {
        assert_eq!(read.get(*name), example(*name), "{name}");
    }
    assert_eq!(Name::ConnectionsPerAddress.variable(), "CHORUS_NETWORK_CONNECTIONS_PER_ADDRESS");
}

#[test]
fn the_environment_goes_before_the_file_and_a_wrong_variable_is_named() {
    let mut settings = Settings::default();
    settings.set(Name::Mesh, "3").expect("a count");
    let says =
        |value: &'static str| move |variable: &str| (variable == "CHORUS_NETWORK_MESH").then(|| value.to_owned());

    let overridden = settings.clone().overridden(says("5")).expect("understood");
    let silent = settings.clone().overridden(says("")).expect("understood");
    let wrong = settings.overridden(says("many")).expect_err("no count");

    assert_eq!((overridden.bearing().mesh, silent.bearing().mesh), (5, 3));
    assert!(wrong.to_string().contains("CHORUS_NETWORK_MESH"), "{wrong}");
}

#[test]
fn a_key_that_does_not_exist_is_refused_and_named() {
    let (_folder, path) = file();

    for (text, key) in [
        ("levle = \"open\"", "levle"),
        ("[network]\nuplaod = \"1MB/s\"", "uplaod"),
        ("[netwrok]\nupload = \"1MB/s\"", "netwrok"),
        ("[network]\nupload = \"fast\"", "fast"),
        ("level = open", "level"),
    ] {
        fs::write(&path, text).expect("written");
        let error = Settings::read_file(&path).expect_err("not understood").to_string();
        assert!(error.contains(key), "{text}: {error}");
    }
    fs::write(&path, "#".repeat(70_000)).expect("written");
    assert!(matches!(Settings::read_file(&path), Err(ConfigError::Settings { .. })), "too long");
}

#[test]
fn what_is_set_goes_before_what_follows_from_the_profile() {
    let mut settings = Settings::default();
    settings.set(Name::Profile, "metered").expect("a profile");
    settings.set(Name::Upload, "unlimited").expect("no bound");

    let bearing = settings.bearing();

    assert_eq!((bearing.upload.limit(), bearing.download.limit()), (None, Some(500_000)));
    assert_eq!(bearing.monthly.limit(), Some(5_000_000_000));
    assert_eq!(settings.resolved().get(Name::Download), "500kB/s");
    assert_eq!(settings.resolved().resolved(), settings.resolved());
    assert_eq!(settings.get(Name::Download), "", "not set");
    assert_eq!(Profile::Server.bearing().relay, Relaying::Serve);
}

#[test]
fn the_table_of_profiles_is_the_one_that_is_documented() {
    let documented = |text: &str| {
        let rows = text.lines().filter_map(|line| line.trim_start_matches("//! ").strip_prefix("| `"));
        let rows = rows.filter(|row| row.starts_with("network.") || row.starts_with("storage."));
        rows.map(|row| {
            let cells: Vec<String> = row.split('|').map(|cell| cell.trim().trim_end_matches('`').to_owned()).collect();
            (cells[0].clone(), cells[1..5].to_vec())
        })
        .collect::<Vec<_>>()
    };

    let code = documented(include_str!("../profile.rs"));
    let readme = documented(include_str!("../../../README.md"));

    assert_eq!((code.len(), &code), (13, &readme));
    for (name, cells) in code {
        let name = <Name as clap::ValueEnum>::from_str(&name, false).expect("a name");
        for (profile, cell) in Profile::value_variants().iter().zip(cells) {
            let value = Settings { profile: Some(*profile), ..Settings::default() }.resolved().get(name);
            match cell.as_str() {
                "free ports" => assert!(value.contains("/tcp/0"), "{value}"),
                "ports 4101" => assert!(value.contains("/tcp/4101"), "{value}"),
                cell => assert_eq!(value, cell, "{name} of {profile}"),
            }
        }
    }
}

#[test]
fn values_that_make_no_sense_are_refused_and_change_nothing() {
    let mut settings = Settings::default();
    let wrong = [
        (Name::Level, "secret"),
        (Name::Participation, ""),
        (Name::Diary, "perhaps"),
        (Name::Hook, "https://example.org"),
        (Name::HookTimeout, "0"),
        (Name::HookTimeout, "soon"),
        (Name::Profile, "office"),
        (Name::Listen, "localhost:4101"),
        (Name::Listen, "/ip4/127.0.0.1/tcp/1,,"),
        (Name::Mdns, "maybe"),
        (Name::Relay, "always"),
        (Name::Connections, "3"),
        (Name::Mesh, "1"),
        (Name::Upload, "0B/s"),
        (Name::Monthly, "lots"),
        (Name::MetricsAddress, "9464"),
    ];

    for (name, value) in wrong {
        assert!(settings.set(name, value).is_err(), "{name:?} {value}");
    }
    assert_eq!(settings, Settings::default());
    settings.set(Name::AllowList, "members.txt").expect("a path");
    assert!(settings.attester.allow_list.as_ref().is_some_and(|path| path.is_absolute()));
    settings.set(Name::AllowList, "").expect("taken back");
    assert_eq!(settings, Settings::default());
}

use super::*;
use crate::types::oid;

#[test]
fn relations_have_postgresqls_oids_and_columns() {
    let class = table("pg_class").expect("pg_class");
    assert_eq!((class.oid, class.columns.len(), &class.keys[..]), (Oid(1259), 33, &[1, 2][..]));
    assert_eq!(relations().len(), 64 + 75 + 4 + 65 + 122);
    for (name, keys, _) in GENERATORS {
        assert_eq!(table(name).expect(name).keys.len(), keys.len(), "{name}");
    }
}

#[test]
fn built_in_rows_are_found_by_key() {
    let types = table("pg_type").expect("pg_type");
    let key = |name: &'static str, value: Datum| {
        let attribute = types.attribute(name).expect(name);
        files::table(types)
            .rows(Some(Key { attribute, name, value: &value }))
            .map(|row| row.expect("a row"))
            .collect::<Vec<_>>()
    };
    let found = key("oid", Datum::Oid(oid::INT4));
    assert!(matches!(&found[..], [row] if matches!(&row[1], Datum::Text(name) if name == "int4")));
    assert_eq!(key("typname", Datum::Text("_text".into())).len(), 1);
    assert_eq!(key("typname", Datum::Text("nothing".into())).len(), 0);
}

#[test]
fn every_file_has_values_for_all_columns() {
    for (name, ..) in GENERATORS {
        let relation = table(name).expect(name);
        for row in files::table(relation).rows(None) {
            let row = row.expect("a row");
            assert_eq!(row.len(), relation.columns.len(), "{name}");
            for (value, column) in row.iter().zip(&relation.columns) {
                assert!(!column.not_null || !value.is_null(), "{name}.{}", column.name);
            }
        }
    }
}

\dT
\dT+
\dT mood
\dT+ s2.*
\dT *.color
\dD
\dD+
\dD even
\d people
\d+ people
\d v_people
\d+ v_people
\di
\df
\df+ abs
\df lower
\df pg_catalog.json*
\da count
\do+ @>
\dC text
\dp people
\dd
\sv v_people
select * from information_schema.domains where domain_schema = 'public';
select * from information_schema.domain_constraints where domain_schema = 'public' order by 3;
select * from information_schema.column_domain_usage where domain_schema = 'public' order by 6, 7;
select table_name, column_name, data_type, udt_schema, udt_name, domain_schema, domain_name, column_default, is_nullable, character_maximum_length, collation_name from information_schema.columns where table_schema = 'public' order by 1, ordinal_position;
select * from information_schema.element_types where object_schema = 'public' order by object_name, collection_type_identifier;
select * from information_schema.user_defined_types;
select * from information_schema.key_column_usage where table_schema='public';
select constraint_name, table_name, constraint_type from information_schema.table_constraints where table_schema = 'public' and constraint_type <> 'CHECK' order by 1;
select * from information_schema.check_constraints where constraint_schema='public' and constraint_name not like '%not_null' order by 3;
select * from information_schema.schemata where schema_name not like 'pg_%' order by 2;
select table_name, view_definition, is_updatable from information_schema.views where table_schema='public';
select * from information_schema.referential_constraints;
select * from information_schema.sequences;
select * from information_schema.tables where table_schema='public' order by 3;
select enumlabel, enumsortorder from pg_enum order by enumtypid, enumsortorder;
select typname, typtype, typcategory, typlen, typbyval, typalign, typstorage, typnotnull, typbasetype::regtype, typdefault, typndims from pg_type where typnamespace in ('public'::regnamespace, 's2'::regnamespace) order by 1;
select conname, contype, pg_get_constraintdef(oid), contypid::regtype from pg_constraint where contypid <> 0 and connamespace = 'public'::regnamespace order by 1;
select enum_range(null::mood), enum_first(null::mood), enum_last(null::mood), enum_range('ok'::mood, null);

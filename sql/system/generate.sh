#!/bin/sh
# Writes the built-in catalog rows beside this file: one .tsv per catalog, in COPY's text format with a header line.
#
# Source: a freshly initialised PostgreSQL 15 (initdb --locale=C.UTF-8 --encoding=UTF8), reached through psql's environment
# (PGHOST, PGPORT, PGUSER). Only rows with oids below 16384 are taken, so other objects in that server do no harm.
# Functions and types that PostgreSQL refers to by regproc are written as oids; node trees as SQL text.
set -eu
cd "$(dirname "$0")"

rows() {
    psql -X -q -d template1 -c "COPY ($2) TO STDOUT (FORMAT text, HEADER)" >"$1.tsv"
}

rows pg_type "SELECT t.oid, typname, nspname, typlen, typbyval, typtype, typcategory, typispreferred, typdelim, typrelid,
    typsubscript::oid AS typsubscript, typelem, typarray, typinput::oid AS typinput, typoutput::oid AS typoutput,
    typreceive::oid AS typreceive, typsend::oid AS typsend, typmodin::oid AS typmodin, typmodout::oid AS typmodout,
    typanalyze::oid AS typanalyze, typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims, typcollation
    FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace WHERE t.oid < 16384 ORDER BY t.oid"
rows pg_proc "SELECT p.oid, proname, nspname, lanname, procost, prorows, provariadic, prosupport::oid AS prosupport, prokind, prosecdef,
    proleakproof, proisstrict, proretset, provolatile, proparallel, pronargs, pronargdefaults, prorettype, proargtypes, proallargtypes,
    proargmodes, proargnames, pg_get_expr(proargdefaults, 0) AS proargdefaults, prosrc
    FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace JOIN pg_language l ON l.oid = prolang
    WHERE p.oid < 16384 ORDER BY p.oid"
rows pg_operator "SELECT oid, oprname, oprkind, oprcanmerge, oprcanhash, oprleft, oprright, oprresult, oprcom, oprnegate,
    oprcode::oid AS oprcode, oprrest::oid AS oprrest, oprjoin::oid AS oprjoin FROM pg_operator WHERE oid < 16384 ORDER BY oid"
rows pg_cast "SELECT oid, castsource, casttarget, castfunc, castcontext, castmethod FROM pg_cast WHERE oid < 16384 ORDER BY oid"
rows pg_aggregate "SELECT aggfnoid::oid AS aggfnoid, aggkind, aggnumdirectargs, aggtransfn::oid AS aggtransfn,
    aggfinalfn::oid AS aggfinalfn, aggcombinefn::oid AS aggcombinefn, aggserialfn::oid AS aggserialfn,
    aggdeserialfn::oid AS aggdeserialfn, aggmtransfn::oid AS aggmtransfn, aggminvtransfn::oid AS aggminvtransfn,
    aggmfinalfn::oid AS aggmfinalfn, aggfinalextra, aggmfinalextra, aggfinalmodify, aggmfinalmodify, aggsortop, aggtranstype,
    aggtransspace, aggmtranstype, aggmtransspace, agginitval, aggminitval FROM pg_aggregate
    WHERE aggfnoid::oid < 16384 ORDER BY aggfnoid::oid"
rows pg_am "SELECT oid, amname, amhandler::oid AS amhandler, amtype FROM pg_am WHERE oid < 16384 ORDER BY oid"
rows pg_opfamily "SELECT oid, opfmethod, opfname FROM pg_opfamily WHERE oid < 16384 ORDER BY oid"
rows pg_opclass "SELECT oid, opcmethod, opcname, opcfamily, opcintype, opcdefault, opckeytype FROM pg_opclass WHERE oid < 16384 ORDER BY oid"
rows pg_amop "SELECT oid, amopfamily, amoplefttype, amoprighttype, amopstrategy, amoppurpose, amopopr, amopmethod, amopsortfamily
    FROM pg_amop WHERE oid < 16384 ORDER BY oid"
rows pg_amproc "SELECT oid, amprocfamily, amproclefttype, amprocrighttype, amprocnum, amproc::oid AS amproc
    FROM pg_amproc WHERE oid < 16384 ORDER BY oid"
rows pg_collation "SELECT oid, collname, collprovider, collisdeterministic, collencoding, collcollate, collctype, colliculocale, collversion
    FROM pg_collation WHERE oid IN (100, 950, 951) OR collname = 'ucs_basic' ORDER BY oid"
rows pg_language "SELECT oid, lanname, lanispl, lanpltrusted, lanplcallfoid, laninline, lanvalidator FROM pg_language
    WHERE oid < 13000 ORDER BY oid"
rows pg_range "SELECT rngtypid, rngsubtype, rngmultitypid, rngcollation, rngsubopc, rngcanonical::oid AS rngcanonical,
    rngsubdiff::oid AS rngsubdiff FROM pg_range WHERE rngtypid < 16384 ORDER BY rngtypid"

# The system relations themselves: what pg_class, pg_attribute, pg_index and pg_constraint say of them, and the views' queries.
# TOAST tables and system columns are left out.
system="c.oid < 16384 AND n.nspname IN ('pg_catalog', 'information_schema')"
rows pg_class "SELECT c.oid, relname, nspname, reltype, relam, relkind, relnatts, relhasindex, relisshared, relhasrules, relreplident,
    relacl FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE $system ORDER BY c.oid"
rows pg_attribute "SELECT attrelid, attname, atttypid, attnum, atttypmod, attndims, attnotnull, attcollation FROM pg_attribute a
    JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE $system AND attnum > 0
    ORDER BY attrelid, attnum"
rows pg_index "SELECT i.* FROM pg_index i JOIN pg_class c ON c.oid = indexrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE $system ORDER BY indexrelid"
rows pg_constraint "SELECT k.* FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE $system ORDER BY k.oid"
rows system_views "SELECT c.oid, pg_get_viewdef(c.oid) AS definition FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE $system AND relkind = 'v' ORDER BY c.oid"
rows pg_description "SELECT objoid, classoid, objsubid, description FROM pg_description WHERE objoid < 16384 ORDER BY objoid, classoid, objsubid"
rows pg_shdescription "SELECT objoid, classoid, description FROM pg_shdescription WHERE objoid < 16384 ORDER BY objoid, classoid"

# What settings are, for pg_settings, and the keywords.
rows pg_settings "SELECT name, unit, category, short_desc, extra_desc, context, vartype, min_val, max_val, enumvals FROM pg_settings
    ORDER BY lower(name)"
rows pg_get_keywords "SELECT * FROM pg_get_keywords() ORDER BY word"

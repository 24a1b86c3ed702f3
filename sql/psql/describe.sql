-- psql's commands, each over the schema of schema.sql.
\l
\dn
\dn+
\dn app
\d
\d+
\dt
\dt+
\dt app.*
\dt+ app.*
\dt *.*child*
\d plain
\d+ plain
\d app.parent
\d+ app.parent
\d app.child
\d+ app.child
\d app.self
\d "Odd Name"."Tab le"
\d+ "Odd Name"."Tab le"
\d ids
\d+ ids
\d no_columns
\d app.*
\d+ app.*
\di
\di+
\di app.*
\di+ app.*
\d app.by_label
\d app.by_code
\d+ app.by_code
\d app.by_kind
\d app.by_part
\d app.parent_lower_expr_idx
\d app.parent_pkey
\d app.child_label_key
\dv
\dv+
\dv app.*
\d simple
\d+ simple
\d app.joined
\d+ app.joined
\d+ app.over
\d+ app.rec
\sv simple
\sv app.joined
\sv+ app.rec
\ds
\ds+
\ds app.*
\d counter
\d app.down
\d app.parent_id_seq
\d app.child_id_seq
\d ids_a_seq
\du
\du+
\dg reader
\dp
\dp app.*
\z app.parent
\df lower
\df+ lower
\df pg_catalog.array_*
\dfa count
\dfw rank
\df no_such_function
\da sum
\dT
\dT+
\dT app.*
\dT+ app.*
\dT hue
\dD
\dD+
\dD app.*
\dD+ app.*
\d app.moods
\d+ app.moods
\d app.by_feeling
\d+ app.moody
\sv app.moody
\df+
\da
\da+ max
\do
\df enum_*
\df+ enum_range
\dT pg_catalog.int*
\dT+ pg_catalog.bool
\dC bool
\dC
\do pg_catalog.||
\do =
\dd
\dd app.*
\dx
\dD
\dE
\dm
\dL
\des
\db
\dA
\dO pg_catalog.C
\drds
\ddp
\dy
\dRp
\dP
\dX
\d missing
\d app.missing
\dt missing
\d+ missing
\dn missing
\du missing
\sv missing
\sv plain
\l missing
\df missing.*
\d app.parent.code.x
\d "app"."parent"
\d APP.PARENT
\d a?p.par*

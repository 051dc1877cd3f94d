//! Guides for people who run Subledger.
//!
//! Each guide is a file beside this module, so that it can be read where the repository is browsed. Its link
//! definitions name files. The definitions here come first, so in this documentation the same labels lead to modules.

macro_rules! guides {
    ($($name:ident $file:literal)*) => {
        $(
            #[doc = concat!(
                "[access-policy]: crate::guide::access_policy\n",
                "[adopt-away]: crate::guide::adopt#while-the-ledger-is-away\n",
                "[adopt-backfill]: crate::guide::adopt#learn-what-stripe-knows\n",
                "[adopt-compare]: crate::guide::adopt#compare-with-the-old-code\n",
                "[adopt-endpoints]: crate::guide::adopt#several-endpoints\n",
                "[adopt-key]: crate::guide::adopt#make-a-key\n",
                "[adopt-lists]: crate::guide::adopt#import-lists-of-objects\n",
                "[adopt-reconcile]: crate::guide::adopt#compare-with-stripe\n",
                "[adopt-thin]: crate::guide::adopt#thin-events\n",
                "[adopt-types]: crate::guide::adopt#events-to-send\n",
                "[adopt-users]: crate::guide::adopt#users-of-your-own-table\n",
                "[audit-observations]: crate::guide::audit#observations\n",
                "[coverage-unknown]: crate::guide::coverage#unknown-users\n",
                "[coverage]: crate::guide::coverage\n",
                "[erasure]: crate::guide::erasure\n",
                "[export]: crate::guide::export\n",
                "[operations-sync]: crate::guide::operations#syncs-with-stripe\n",
                "[operations]: crate::guide::operations\n",
                "[postgresql]: crate::guide::postgresql#backup\n",
                "[proof]: crate::guide::proof\n",
                "[rebuild]: crate::guide::rebuild\n",
                "[record]: crate::store\n",
                "[reference-access]: crate::guide::reference#access\n",
                "\n",
                include_str!($file)
            )]
            pub mod $name {}
        )*
    };
}

guides! {
    adopt "adopt.md"
    access_policy "access-policy.md"
    coverage "coverage.md"
    rebuild "rebuild.md"
    audit "audit.md"
    proof "proof.md"
    erasure "erasure.md"
    export "export.md"
    postgresql "postgresql.md"
    sql "sql.md"
    operations "operations.md"
    reference "reference.md"
    guarantees "guarantees.md"
    performance "performance.md"
}

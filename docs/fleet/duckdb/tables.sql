-- The tables that `gmr ship` writes, as views. Set the folder first, and read `views.sql` next:
--   SET VARIABLE tables = 'tables';

CREATE OR REPLACE VIEW reports AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/reports.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW threads AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/threads.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW tasks AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/tasks.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW spans AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/spans.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW findings AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/findings.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW resources AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/resources.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW sections AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/sections.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW all_stacks AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/stacks.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);
CREATE OR REPLACE VIEW all_places AS FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/places.parquet',
    hive_partitioning = true, hive_types_autocast = false, union_by_name = true);

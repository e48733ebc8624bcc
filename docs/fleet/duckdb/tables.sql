-- The tables that `gmr ship` writes, as views. Set the folder first:
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

-- Each batch has the stacks and places that it needs: here, each is once.
CREATE OR REPLACE VIEW stacks AS
SELECT DISTINCT ON (stack_id) stack_id, frames FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/stacks.parquet',
    hive_partitioning = false, union_by_name = true)
ORDER BY stack_id;
CREATE OR REPLACE VIEW places AS
SELECT DISTINCT ON (place_id) place_id, kind, functions, lines FROM read_parquet(
    getvariable('tables') || '/service=*/date=*/*/places.parquet',
    hive_partitioning = false, union_by_name = true)
ORDER BY place_id, lines;

-- The latest report of each process. Reports of a process state a start that is at most a second
-- apart, and the later one has the greater number: ids of processes are used again, and are the same
-- in each container. A report that does not state the start counts as of a process of its own.
CREATE OR REPLACE VIEW latest AS
WITH marked AS (
    SELECT report_id, program, version, host, container_id, pid, made_at, number,
        CASE WHEN started_at <= lag(started_at) OVER process + INTERVAL 1 SECOND
                AND started_at >= lag(started_at) OVER process - INTERVAL 1 SECOND
                AND number > lag(number) OVER process
            THEN 0 ELSE 1 END AS is_first
    FROM reports
    WINDOW process AS (
        PARTITION BY program, version, host, container_id, pid ORDER BY made_at, number, report_id)
), numbered AS (
    SELECT *, sum(is_first) OVER (
        PARTITION BY program, version, host, container_id, pid ORDER BY made_at, number, report_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS process
    FROM marked
), aged AS (
    SELECT *, row_number() OVER (
        PARTITION BY program, version, host, container_id, pid, process
        ORDER BY made_at DESC, number DESC, report_id) AS age
    FROM numbered
)
SELECT report_id, program, version, host, pid, made_at FROM aged WHERE age = 1;

-- What threads and tasks are at which place, in these reports.
CREATE OR REPLACE VIEW at_places AS
SELECT report_id, program, version, host, place_id, idle FROM threads JOIN latest USING (report_id)
WHERE place_id IS NOT NULL
UNION ALL
SELECT report_id, program, version, host, place_id, false FROM tasks JOIN latest USING (report_id)
WHERE place_id IS NOT NULL;

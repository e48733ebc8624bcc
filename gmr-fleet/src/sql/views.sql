-- What the questions are asked of, from the tables as they are. DuckDB and DataFusion read it.

-- Each batch has the stacks and places that it needs: here, each is once. Not by DISTINCT ON: DataFusion
-- counts the whole of a list's batch for each row that it keeps, which is gigabytes for a thousand.
CREATE OR REPLACE VIEW stacks AS
SELECT stack_id, frames FROM (
    SELECT *, row_number() OVER (PARTITION BY stack_id) AS copy FROM all_stacks
) AS copies WHERE copy = 1;
CREATE OR REPLACE VIEW places AS
SELECT place_id, kind, functions, lines FROM (
    SELECT *, row_number() OVER (PARTITION BY place_id ORDER BY lines) AS copy FROM all_places
) AS copies WHERE copy = 1;

-- Which reports are of the same process: they have the same value in all columns but `report_id`,
-- `made_at` and `number`. Reports of a process state a start that is at most a second apart, and the
-- later one has the greater number: ids of processes are used again, and are the same in each
-- container. A report that does not state the start counts as of a process of its own.
CREATE OR REPLACE VIEW processes AS
WITH marked AS (
    SELECT report_id, program, version, host, container_id, pid, made_at, number,
        CASE WHEN started_at <= lag(started_at) OVER process + INTERVAL '1 second'
                AND started_at >= lag(started_at) OVER process - INTERVAL '1 second'
                AND number > lag(number) OVER process
            THEN 0 ELSE 1 END AS is_first
    FROM reports
    WINDOW process AS (
        PARTITION BY program, version, host, container_id, pid ORDER BY made_at, number, report_id)
)
SELECT report_id, program, version, host, container_id, pid, made_at, number,
    sum(is_first) OVER (
        PARTITION BY program, version, host, container_id, pid ORDER BY made_at, number, report_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS process
FROM marked;

-- The latest report of each process.
CREATE OR REPLACE VIEW latest AS
SELECT report_id, program, version, host, pid, made_at FROM (
    SELECT *, row_number() OVER (
        PARTITION BY program, version, host, container_id, pid, process
        ORDER BY made_at DESC NULLS LAST, number DESC NULLS LAST, report_id) AS age
    FROM processes
) AS aged WHERE age = 1;

-- How many threads and tasks of a report are at which place.
CREATE OR REPLACE VIEW at_places AS
SELECT report_id, place_id, bool_and(idle) AS idle, count(*) AS count FROM (
    SELECT report_id, place_id, idle FROM threads WHERE place_id IS NOT NULL
    UNION ALL
    SELECT report_id, place_id, false FROM tasks WHERE place_id IS NOT NULL
) AS each GROUP BY report_id, place_id;

-- The two sides of a comparison, by variables: `older_version`, `older_host`, or from `older_from` to
-- before `older_to`, and the same with `newer`. What is not set does not matter. Of each process, the
-- latest report of the side.
CREATE OR REPLACE VIEW sides AS
WITH both_sides AS (
    SELECT *, false AS is_newer FROM processes
    WHERE (getvariable('older_version') IS NULL OR version = getvariable('older_version'))
        AND (getvariable('older_host') IS NULL OR host = getvariable('older_host'))
        AND (getvariable('older_from') IS NULL
            OR made_at >= CAST(CAST(getvariable('older_from') AS VARCHAR) AS TIMESTAMP))
        AND (getvariable('older_to') IS NULL
            OR made_at < CAST(CAST(getvariable('older_to') AS VARCHAR) AS TIMESTAMP))
    UNION ALL
    SELECT *, true AS is_newer FROM processes
    WHERE (getvariable('newer_version') IS NULL OR version = getvariable('newer_version'))
        AND (getvariable('newer_host') IS NULL OR host = getvariable('newer_host'))
        AND (getvariable('newer_from') IS NULL
            OR made_at >= CAST(CAST(getvariable('newer_from') AS VARCHAR) AS TIMESTAMP))
        AND (getvariable('newer_to') IS NULL
            OR made_at < CAST(CAST(getvariable('newer_to') AS VARCHAR) AS TIMESTAMP))
)
SELECT report_id, is_newer FROM (
    SELECT *, row_number() OVER (
        PARTITION BY is_newer, program, version, host, container_id, pid, process
        ORDER BY made_at DESC NULLS LAST, number DESC NULLS LAST, report_id) AS age
    FROM both_sides
) AS aged WHERE age = 1;

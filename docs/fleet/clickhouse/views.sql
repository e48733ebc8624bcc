-- What the questions are asked of. Use the database first that has the tables: `files`, `gmr` or `gmr_all`.

-- Each batch has the stacks and places that it needs: here, each is once.
CREATE OR REPLACE VIEW stacks AS
SELECT stack_id, any(all_stacks.frames) AS frames FROM all_stacks GROUP BY stack_id;
CREATE OR REPLACE VIEW places AS
SELECT place_id, any(all_places.kind) AS kind, any(all_places.functions) AS functions,
    min(all_places.lines) AS lines
FROM all_places GROUP BY place_id;

-- Which reports are of the same process: they have the same value in all columns but `report_id`,
-- `made_at` and `number`. Reports of a process state a start that is at most a second apart, and the
-- later one has the greater number: ids of processes are used again, and are the same in each
-- container. A report that does not state the start counts as of a process of its own.
CREATE OR REPLACE VIEW processes AS
WITH before AS (
    SELECT report_id, program, version, host, container_id, pid, made_at, number, started_at,
        lagInFrame(started_at) OVER process AS started_before,
        lagInFrame(number) OVER process AS number_before
    FROM reports
    WINDOW process AS (
        PARTITION BY program, version, host, container_id, pid ORDER BY made_at, number, report_id
        ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
), marked AS (
    SELECT report_id, program, version, host, container_id, pid, made_at, number,
        if(abs(date_diff('millisecond', started_before, started_at)) <= 1000 AND number > number_before, 0, 1)
            AS is_first
    FROM before
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
) WHERE age = 1;

-- How many threads and tasks of a report are at which place. No place is one of threads and of tasks.
CREATE OR REPLACE VIEW at_places AS
SELECT report_id, place_id, min(threads.idle) AS idle, count() AS count
FROM threads WHERE place_id IS NOT NULL GROUP BY report_id, place_id
UNION ALL
SELECT report_id, place_id, false AS idle, count() AS count
FROM tasks WHERE place_id IS NOT NULL GROUP BY report_id, place_id;

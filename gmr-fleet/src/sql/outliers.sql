-- Which processes differ from the others of their version? Those at a place at which hardly any other is
-- (at most one in 20, of at least 20), those with at least twice as many threads as half of the others,
-- and 20 more, and those in which a task waits for at least ten times as long as the task of this name
-- that waits longest does in half of the others, and 10 s longer. A task that waits almost since its
-- process was started is one that always does. It says how they differ, and not that something is wrong
-- with them.
WITH kinds AS (
    SELECT latest.program, latest.version, count(*) AS of, median(CAST(threads AS DOUBLE)) AS median
    FROM latest JOIN reports USING (report_id)
    GROUP BY latest.program, latest.version HAVING count(*) >= 20
), here AS (
    SELECT report_id, program, version, host, place_id, idle FROM at_places JOIN latest USING (report_id)
), rare AS (
    SELECT place_id, here.program, here.version, min(of) AS of, count(*) AS processes
    FROM here JOIN kinds ON here.program = kinds.program AND here.version IS NOT DISTINCT FROM kinds.version
    WHERE NOT idle
    GROUP BY place_id, here.program, here.version
    HAVING count(*) * 20 <= min(of)
), waits AS (
    SELECT report_id, name, max(state_ms) AS longest FROM tasks
    WHERE state = 'waiting' AND name IS NOT NULL GROUP BY report_id, name
), usual AS (
    SELECT latest.program, latest.version, name, count(*) AS of, median(CAST(longest AS DOUBLE)) AS median
    FROM waits JOIN latest USING (report_id)
    GROUP BY latest.program, latest.version, name HAVING count(*) >= 20
)
SELECT 'place' AS differs, here.program, here.version, here.host, here.report_id, processes, of,
    array_to_string(functions[1:3], ' < ') AS what
FROM rare JOIN here ON here.place_id = rare.place_id AND here.program = rare.program
    AND here.version IS NOT DISTINCT FROM rare.version
JOIN places ON places.place_id = rare.place_id
UNION ALL
SELECT 'threads', latest.program, latest.version, latest.host, latest.report_id, 1, of,
    CAST(threads AS VARCHAR) || ' threads; the median is ' || CAST(CAST(round(median) AS BIGINT) AS VARCHAR)
FROM latest JOIN reports USING (report_id)
JOIN kinds ON latest.program = kinds.program AND latest.version IS NOT DISTINCT FROM kinds.version
WHERE threads >= 2 * median AND threads >= median + 20
UNION ALL
SELECT 'waits', latest.program, latest.version, latest.host, latest.report_id, 1, of,
    'a task ' || waits.name || ' has been waiting for ' || CAST(longest AS VARCHAR)
        || ' ms; the median is ' || CAST(CAST(round(median) AS BIGINT) AS VARCHAR) || ' ms'
FROM waits JOIN latest USING (report_id)
JOIN reports ON reports.report_id = waits.report_id
JOIN usual ON latest.program = usual.program AND waits.name = usual.name
    AND latest.version IS NOT DISTINCT FROM usual.version
WHERE longest >= 10 * median AND longest >= median + 10000
    AND (uptime_ms IS NULL OR longest * 10 < uptime_ms * 9)
ORDER BY differs, processes, program, version, host, report_id, what;

-- Which processes differ from the others of their version? Those at a place at which hardly any other is
-- (at most one in 20, of at least 20), those with at least twice as many threads as half of the others,
-- and 20 more, and those in which a task waits for at least ten times as long as the task of this name
-- that waits longest does in half of the others, and 10 s longer. A task that waits almost since its
-- process was started is one that always does. It says how they differ, and not that something is wrong
-- with them.
WITH running AS (
    SELECT latest.report_id AS report_id, latest.program AS program, latest.version AS version,
        latest.host AS host, threads, uptime_ms
    FROM latest JOIN reports USING (report_id)
), kinds AS (
    SELECT program, version, count() AS of, quantileExactInclusive(0.5)(threads) AS median
    FROM running GROUP BY program, version HAVING count() >= 20
), here AS (
    SELECT report_id, program, version, host, place_id, idle FROM at_places JOIN latest USING (report_id)
), rare AS (
    SELECT place_id, here.program AS program, here.version AS version, min(kinds.of) AS of,
        count() AS processes
    FROM here JOIN kinds ON here.program = kinds.program AND here.version IS NOT DISTINCT FROM kinds.version
    WHERE NOT idle
    GROUP BY place_id, program, version
    HAVING count() * 20 <= min(kinds.of)
), waits AS (
    SELECT report_id, name, max(state_ms) AS longest FROM tasks
    WHERE state = 'waiting' AND name IS NOT NULL GROUP BY report_id, name
), waiting AS (
    SELECT report_id, program, version, host, uptime_ms, name, longest
    FROM waits JOIN running USING (report_id)
), usual AS (
    SELECT program, version, name, count() AS of, quantileExactInclusive(0.5)(longest) AS median
    FROM waiting GROUP BY program, version, name HAVING count() >= 20
)
SELECT * FROM (
    SELECT 'place' AS differs, here.program AS program, here.version AS version, here.host AS host,
        here.report_id AS report_id, processes, of,
        arrayStringConcat(arraySlice(functions, 1, 3), ' < ') AS what
    FROM rare JOIN here ON here.place_id = rare.place_id AND here.program = rare.program
        AND here.version IS NOT DISTINCT FROM rare.version
    JOIN places ON places.place_id = rare.place_id
    UNION ALL
    SELECT 'threads', running.program, running.version, running.host, running.report_id, 1, of,
        toString(threads) || ' threads; the median is ' || toString(toInt64(floor(median + 0.5)))
    FROM running JOIN kinds ON running.program = kinds.program
        AND running.version IS NOT DISTINCT FROM kinds.version
    WHERE threads >= 2 * median AND threads >= median + 20
    UNION ALL
    SELECT 'waits', waiting.program, waiting.version, waiting.host, waiting.report_id, 1, of,
        'a task ' || waiting.name || ' has been waiting for ' || toString(longest)
            || ' ms; the median is ' || toString(toInt64(floor(median + 0.5))) || ' ms'
    FROM waiting JOIN usual ON waiting.program = usual.program AND waiting.name = usual.name
        AND waiting.version IS NOT DISTINCT FROM usual.version
    WHERE longest >= 10 * median AND longest >= median + 10000
        AND (uptime_ms IS NULL OR longest * 10 < uptime_ms * 9)
)
ORDER BY differs, processes, program, version, host, report_id, what;

-- What is new? The places with the share of processes of each side that are at them, the greatest
-- differences first. A side is a parameter, `older` or `newer`: `version=1.1`, `host=shop-1`, or
-- `time=2026-01-02T14:00:00Z..2026-01-02T15:00:00Z`, of which the end does not count. Of each process, the
-- latest report of the side counts. Two versions:
--   SET param_older = 'version=1.1', param_newer = 'version=1.2';
WITH given AS (
    SELECT is_newer, splitByString('=', side)[1] AS kind, substring(side, position(side, '=') + 1) AS value,
        splitByString('..', value) AS times,
        parseDateTime64BestEffortOrNull(times[1], 3, 'UTC') AS begin,
        parseDateTime64BestEffortOrNull(times[2], 3, 'UTC') AS end
    FROM (
        SELECT false AS is_newer, {older:String} AS side UNION ALL SELECT true, {newer:String}
    )
), of_sides AS (
    SELECT processes.*, is_newer FROM processes CROSS JOIN given
    WHERE multiIf(given.kind = 'version', version = value, given.kind = 'host', host = value,
        given.kind = 'time', made_at >= begin AND made_at < end, false)
), sides AS (
    SELECT report_id, is_newer FROM (
        SELECT *, row_number() OVER (
            PARTITION BY is_newer, program, version, host, container_id, pid, process
            ORDER BY made_at DESC NULLS LAST, number DESC NULLS LAST, report_id) AS age
        FROM of_sides
    ) WHERE age = 1
), sizes AS (
    SELECT countIf(NOT is_newer) AS of_older, countIf(is_newer) AS of_newer FROM sides
), here AS (
    SELECT place_id, min(at_places.idle) AS idle, countIf(NOT is_newer) AS older, countIf(is_newer) AS newer
    FROM at_places JOIN sides USING (report_id) GROUP BY place_id
)
SELECT places.kind AS kind, functions, lines, idle, older, of_older, newer, of_newer, place_id
FROM here JOIN places USING (place_id) CROSS JOIN sizes
WHERE older * of_newer <> newer * of_older
ORDER BY abs(newer / of_newer - older / of_older) DESC, place_id;

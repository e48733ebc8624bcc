-- What is new? The places of two versions with the share of processes that are at each, the greatest
-- differences first.
--   SET VARIABLE older = '1.1'; SET VARIABLE newer = '1.2';
WITH chosen AS (
    SELECT report_id, version = getvariable('newer') AS is_newer FROM latest
    WHERE version IN (getvariable('older'), getvariable('newer'))
), sizes AS (
    SELECT count(*) FILTER (NOT is_newer) AS of_older, count(*) FILTER (is_newer) AS of_newer FROM chosen
), here AS (
    SELECT place_id, bool_and(idle) AS idle,
        count(DISTINCT report_id) FILTER (NOT is_newer) AS older,
        count(DISTINCT report_id) FILTER (is_newer) AS newer
    FROM at_places JOIN chosen USING (report_id) GROUP BY place_id
)
SELECT kind, functions, idle, older, of_older, newer, of_newer, place_id
FROM here JOIN places USING (place_id), sizes
WHERE older * of_newer <> newer * of_older
ORDER BY abs(newer / of_newer - older / of_older) DESC, place_id;

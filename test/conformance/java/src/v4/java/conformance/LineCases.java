package conformance;

import java.util.List;

/** Cases over what only the 4.x line of the client has: none. */
final class LineCases {

    private LineCases() {
    }

    static List<Case> all() {
        return List.of();
    }
}

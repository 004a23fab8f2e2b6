package conformance;

import java.util.ArrayList;
import java.util.List;

/** Cases over what only the 5.x line of the client has. */
final class LineCases {

    private LineCases() {
    }

    static List<Case> all() {
        List<Case> all = new ArrayList<>();
        all.addAll(NamesrvCases.all());
        all.addAll(RawCases.all());
        all.addAll(Producer5Cases.all());
        all.addAll(Admin5Cases.all());
        return all;
    }
}

package conformance;

/** One thing that a cluster must do, told in the words of the client that sees it. It fails by throwing. */
record Case(String name, Body body) {

    interface Body {
        void run(World world) throws Exception;
    }
}
